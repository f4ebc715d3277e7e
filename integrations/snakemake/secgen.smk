# Rules that compile a spec and run it.  The Snakefile beside this file uses them.
#
# config["secgen"] has
#   spec     the spec
#   out      folder of the results, new for each run that is meant to spend
#   data     silo → its table, or its site.toml
#   samples  names of the files of synthetic rows: synthetic.csv, synthetic.h5ad
#
# A run spends privacy.  Snakemake may start a rule again whenever it thinks that something changed;
# so the folder of the results is no output of the rule, and secgen refuses to run into one that
# holds results (SG702).  A run that was cut off goes on with its stored noise, at no cost.

STUDY = config["secgen"]


rule secgen_compile:
    input:
        STUDY["spec"],
    output:
        bundle=directory(f"{STUDY['out']}.bundle"),
    shell:
        "secgen compile {input:q} -o {output.bundle:q}"


rule secgen_run:
    input:
        bundle=rules.secgen_compile.output.bundle,
        tables=list(STUDY["data"].values()),
    output:
        receipt=f"{STUDY['out']}/receipt.json",
        measurements=f"{STUDY['out']}/measurements.csv",
        samples=[f"{STUDY['out']}/{name}" for name in STUDY["samples"]],
    params:
        out=STUDY["out"],
        data=[f"--data={silo}={table}" for silo, table in STUDY["data"].items()],
    log:
        f"{STUDY['out']}.log",
    threads: len(STUDY["data"])
    retries: 0
    shell:
        "secgen run {input.bundle:q} {params.data:q} --out {params.out:q} > {log:q} 2>&1"
