localrules:
    claims,
    coverage,
    page,


rule claims:
    input:
        expand("results/{{scale}}/claims/{study}.csv", study=STUDIES),
    output:
        report(
            "results/{scale}/claims.csv",
            caption="../report/claims.rst",
            category="Verdicts",
            labels={"table": "claims"},
        ),
    log:
        "results/{scale}/logs/claims.log",
    conda:
        "../envs/zeroloss.yml"
    threads: 1
    resources:
        mem_mb=500,
        runtime=10,
    params:
        order=all_claims_order,
    message:
        "all claims"
    shell:
        "python -m zeroloss job all_claims {params.order:q} --results results/{wildcards.scale} > {log} 2>&1"


rule coverage:
    output:
        report(
            "results/{scale}/coverage.csv",
            caption="../report/coverage.rst",
            category="Verdicts",
            labels={"table": "coverage of the documents"},
        ),
    log:
        "results/{scale}/logs/coverage.log",
    conda:
        "../envs/zeroloss.yml"
    threads: 1
    resources:
        mem_mb=500,
        runtime=10,
    params:
        order=coverage_order,
    message:
        "coverage of the documents"
    shell:
        "python -m zeroloss job coverage {params.order:q} --results results/{wildcards.scale} > {log} 2>&1"


rule page:
    input:
        page_inputs,
        "results/{scale}/claims.csv",
        "results/{scale}/coverage.csv",
    output:
        "results/{scale}/index.html",
    log:
        "results/{scale}/logs/index.log",
    conda:
        "../envs/zeroloss.yml"
    threads: 1
    resources:
        mem_mb=500,
        runtime=10,
    params:
        order=page_order,
    message:
        "page results/{wildcards.scale}/index.html"
    shell:
        "python -m zeroloss job page {params.order:q} --results results/{wildcards.scale} > {log} 2>&1"


rule unknown:
    input:
        explain_unknown,
    output:
        "results/{unknown}",
    wildcard_constraints:
        unknown=UNKNOWN,
