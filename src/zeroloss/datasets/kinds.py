"""Every kind of recipe, told apart by its field ``kind``."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from zeroloss.datasets.image_classes import ImageClasses
from zeroloss.datasets.image_groups import ImageGroups
from zeroloss.datasets.image_sample import ImageSample
from zeroloss.datasets.image_split import ImageSplit
from zeroloss.datasets.image_tasks import ImageParity
from zeroloss.datasets.random_images import RandomImages
from zeroloss.datasets.sphere import SpherePoints

AnyRecipe = Annotated[
    SpherePoints | ImageParity | ImageClasses | ImageGroups | ImageSample | ImageSplit | RandomImages,
    Field(discriminator="kind"),
]
