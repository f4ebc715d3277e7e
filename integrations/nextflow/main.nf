// Two hospitals and a helper, on the tables of the demo:
//   nextflow run integrations/nextflow/main.nf --out "$PWD/build/nextflow/two_hospitals"

include { SECGEN_COMPILE; SECGEN_RUN } from './secgen.nf'

params.specs = "${projectDir}/../../specs"
params.spec = 'two_hospitals.secgen'
params.out = "${launchDir}/two_hospitals"

workflow {
    specs = file(params.specs, checkIfExists: true)
    data = [
        ['north', specs.resolve('data/europe.csv.gz').toString()],
        ['south', specs.resolve('data/south.csv.gz').toString()],
    ]
    SECGEN_COMPILE(specs, params.spec)
    SECGEN_RUN(SECGEN_COMPILE.out, data, params.out)
    SECGEN_RUN.out.receipt.view { receipt -> "receipt ${receipt}" }
}
