// Processes that compile a spec and run it.  main.nf beside this file uses them.
//
// A run spends privacy.  Nextflow tries a failed task again in a new folder, where secgen would not
// find the noised counts that it stored, and would spend a second time: so the run is never tried
// again by itself, and its results lie outside the task's folder.  There a run that was cut off goes
// on at no cost (with -resume), and one that is finished is not run again (SG702).

process SECGEN_COMPILE {
    input:
    path study      // the folder of the spec and the public files that it names
    val spec        // the spec's name in that folder

    output:
    path 'bundle'

    script:
    """
    secgen compile '${study}/${spec}' -o bundle
    """
}

process SECGEN_RUN {
    errorStrategy 'terminate'
    maxRetries 0

    input:
    path bundle
    val data        // list of [silo, table or site.toml]
    val out         // folder of the results: an absolute path, new for each run meant to spend

    output:
    path 'receipt.json', emit: receipt
    path 'measurements.csv', emit: measurements
    path 'synthetic.*', emit: samples

    script:
    def tables = data.collect { silo, table -> "--data '${silo}=${table}'" }.join(' ')
    """
    secgen run '${bundle}' ${tables} --out '${out}'
    cp '${out}'/receipt.json '${out}'/measurements.csv '${out}'/synthetic.* .
    """
}
