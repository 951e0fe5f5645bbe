# Cells that take minutes are jobs of their own; where the settings say so (seconds_per_job), small ones share one.
if not PLAN.config.seconds_per_job:

    rule cell:
        input:
            cell_datasets,
        output:
            "results/{scale}/runs/{study}/{cell}.parquet",
        log:
            "results/{scale}/logs/{study}/{cell}.log",
        benchmark:
            "results/{scale}/benchmarks/{study}/{cell}.tsv"
        conda:
            "../envs/zeroloss.yml"
        threads: 1
        resources:
            mem_mb=cell_memory,
            runtime=cell_minutes,
            gpu=cell_gpus,
        params:
            order=cell_order,
        message:
            "train {wildcards.study} {wildcards.cell}"
        shell:
            "python -m zeroloss job cell {params.order:q} --results results/{wildcards.scale}"
            " --threads {threads} > {log} 2>&1"

else:
    for study, part, names in bundles():

        rule:
            name:
                f"cells_{study}_{part}"
            input:
                functools.partial(bundle_datasets, study, names),
            output:
                [f"results/{{scale}}/runs/{study}/{cell}.parquet" for cell in names],
            log:
                f"results/{{scale}}/logs/{study}/cells_{part}.log",
            benchmark:
                f"results/{{scale}}/benchmarks/{study}/cells_{part}.tsv"
            conda:
                "../envs/zeroloss.yml"
            threads: 1
            resources:
                mem_mb=functools.partial(bundle_memory, study, names),
                runtime=functools.partial(bundle_minutes, study, names),
                gpu=bundle_gpus(study, names),
            params:
                order=functools.partial(bundle_order, study, names),
            message:
                f"train {study}: {' '.join(names)}"
            shell:
                "python -m zeroloss job cells {params.order:q} --results results/{wildcards.scale}"
                " --threads {threads} > {log} 2>&1"
