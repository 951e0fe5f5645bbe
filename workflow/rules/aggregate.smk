localrules:
    metrics,


rule metrics:
    input:
        study_cells,
    output:
        "results/{scale}/metrics/{study}.parquet",
    log:
        "results/{scale}/logs/metrics/{study}.log",
    conda:
        "../envs/zeroloss.yml"
    threads: 1
    resources:
        mem_mb=1000,
        runtime=10,
    params:
        order=metrics_order,
    message:
        "metrics of {wildcards.study}"
    shell:
        "python -m zeroloss job metrics {params.order:q} --results results/{wildcards.scale} > {log} 2>&1"
