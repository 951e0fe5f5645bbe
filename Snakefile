# zeroloss: from data sets to figures, tables, claims and one page. `snakemake --cores 2` builds the default scale.
import copy

from snakemake.utils import min_version

min_version("9.19")

# what --config and --configfile said; config.yaml is laid under it next
OVERRIDES = copy.deepcopy(config)


configfile: "config.yaml"


report: "workflow/report/workflow.rst"


include: "workflow/rules/common.smk"
include: "workflow/rules/datasets.smk"
include: "workflow/rules/train.smk"
include: "workflow/rules/aggregate.smk"
include: "workflow/rules/render.smk"
include: "workflow/rules/report.smk"


localrules:
    all,


rule all:
    default_target: True
    input:
        everything,


# one target per study: `snakemake --cores 2 du2018a`
for study in STUDIES:

    rule:
        name:
            study
        input:
            [f"results/{SCALE}/{output}" for output in PLAN.outputs(study)],
        localrule: True


onstart:
    announce_needs()


onerror:
    explain_failure(RESULTS)
