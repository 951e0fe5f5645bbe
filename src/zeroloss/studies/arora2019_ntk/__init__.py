from zeroloss.studies.contract import Study
from zeroloss.studies.arora2019_ntk import compute, experiment
STUDY = Study(name="arora2019_ntk", paper="x", arxiv="1904.11955", summary="", settings=experiment.Settings, recipes=experiment.recipes, cells=experiment.cells, run=compute.run, figures=lambda s:[], tables=lambda s:[], claims=lambda s:[])
