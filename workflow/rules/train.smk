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
