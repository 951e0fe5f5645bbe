localrules:
    dataset,


rule dataset:
    output:
        "results/{scale}/datasets/{dataset}.npz",
    log:
        "results/{scale}/logs/datasets/{dataset}.log",
    conda:
        "../envs/zeroloss.yml"
    threads: 1
    resources:
        mem_mb=2000,
        runtime=30,
    params:
        order=dataset_order,
    message:
        "data set {wildcards.dataset}"
    shell:
        "python -m zeroloss job dataset {params.order:q} --results results/{wildcards.scale} > {log} 2>&1"
