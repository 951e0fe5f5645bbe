localrules:
    figure,
    table,
    verdicts,


rule figure:
    input:
        metrics_of("figure"),
    output:
        pdf="results/{scale}/figures/{figure}.pdf",
        svg="results/{scale}/figures/{figure}.svg",
        png=report(
            "results/{scale}/figures/{figure}.png",
            caption="../report/figure.rst",
            category=figure_study,
            subcategory="Figures",
            labels=figure_labels,
        ),
    log:
        "results/{scale}/logs/figures/{figure}.log",
    conda:
        "../envs/zeroloss.yml"
    threads: 1
    resources:
        mem_mb=1000,
        runtime=10,
    params:
        order=figure_order,
        caption=figure_caption,
    message:
        "figure {wildcards.figure}"
    shell:
        "python -m zeroloss job figure {params.order:q} --results results/{wildcards.scale} > {log} 2>&1"


rule table:
    input:
        metrics_of("table"),
    output:
        csv=report(
            "results/{scale}/tables/{table}.csv",
            caption="../report/table.rst",
            category=table_study,
            subcategory="Tables",
            labels=table_labels,
        ),
        md="results/{scale}/tables/{table}.md",
        tex="results/{scale}/tables/{table}.tex",
    log:
        "results/{scale}/logs/tables/{table}.log",
    conda:
        "../envs/zeroloss.yml"
    threads: 1
    resources:
        mem_mb=1000,
        runtime=10,
    params:
        order=table_order,
        caption=table_caption,
    message:
        "table {wildcards.table}"
    shell:
        "python -m zeroloss job table {params.order:q} --results results/{wildcards.scale} > {log} 2>&1"


rule verdicts:
    input:
        "results/{scale}/metrics/{study}.parquet",
    output:
        "results/{scale}/claims/{study}.csv",
    log:
        "results/{scale}/logs/claims/{study}.log",
    conda:
        "../envs/zeroloss.yml"
    threads: 1
    resources:
        mem_mb=1000,
        runtime=10,
    params:
        order=verdicts_order,
    message:
        "claims of {wildcards.study}"
    shell:
        "python -m zeroloss job verdicts {params.order:q} --results results/{wildcards.scale} > {log} 2>&1"
