for study in STUDIES:
    if declared_by(study, "figures"):

        rule:
            name:
                f"figures_{study}"
            input:
                functools.partial(metrics_of, study),
            output:
                [
                    report(
                        f"results/{{scale}}/figures/{figure}.png",
                        caption="../report/figures.rst",
                        category=PLAN.studies[study].paper,
                        subcategory="Figures",
                        labels={"figure": declared.title},
                    )
                    for figure, declared in declared_by(study, "figures").items()
                ],
                [
                    f"results/{{scale}}/figures/{figure}.{kind}"
                    for figure in declared_by(study, "figures")
                    for kind in FIGURE_FORMATS
                    if kind != "png"
                ],
            log:
                f"results/{{scale}}/logs/figures/{study}.log",
            localrule: True
            conda:
                "../envs/zeroloss.yml"
            threads: 1
            resources:
                mem_mb=1000,
                runtime=10,
            params:
                order=functools.partial(figures_order, study),
                captions=captions_of(study, "figures"),
            message:
                f"figures of {study}"
            shell:
                "python -m zeroloss job figures {params.order:q} --results results/{wildcards.scale} > {log} 2>&1"

    rule:
        name:
            f"tables_{study}"
        input:
            functools.partial(metrics_of, study),
        output:
            [
                report(
                    f"results/{{scale}}/tables/{table}.csv",
                    caption="../report/tables.rst",
                    category=PLAN.studies[study].paper,
                    subcategory="Tables",
                    labels={"table": declared.title},
                )
                for table, declared in declared_by(study, "tables").items()
            ],
            [
                f"results/{{scale}}/tables/{table}.{kind}"
                for table in declared_by(study, "tables")
                for kind in TABLE_FORMATS
                if kind != "csv"
            ],
            claims=f"results/{{scale}}/claims/{study}.csv",
        log:
            f"results/{{scale}}/logs/tables/{study}.log",
        localrule: True
        conda:
            "../envs/zeroloss.yml"
        threads: 1
        resources:
            mem_mb=1000,
            runtime=10,
        params:
            order=functools.partial(tables_order, study),
            captions=captions_of(study, "tables"),
        message:
            f"tables and claims of {study}"
        shell:
            "python -m zeroloss job tables {params.order:q} --results results/{wildcards.scale} > {log} 2>&1"
