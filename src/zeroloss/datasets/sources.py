"""The known image data sets: their files, published checksums, addresses, licences and fidelity.

Checksums are written as 64 hexadecimal digits (sha256) or as ``md5:`` and 32 digits where only that is
published, which is so of the unpacked CIFAR-10 batches alone: nothing is downloaded without a sha256. The md5 values are
those of torchvision 0.29; where a sha256 is given for such a file, it is that of a file whose md5 is the published one.
Those of KMNIST and of CIFAR-10's binary archive are the ones of TensorFlow Datasets (``url_checksums``) for the same addresses.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Reader = Literal[
    "idx", "kmnist_test", "cifar_binary", "cifar_python", "cifar_batches", "exact_4k1k", "jpegpack", "semeion",
    "semeion_npz",
]  # fmt: skip


@dataclass(frozen=True)
class KnownFile:
    """A file with a published checksum.

    Attributes:
        name: path below the folder; where it ends in ``.gz``, the unpacked file is accepted as well.
        digest: checksum of the file as published.
        content: checksum of the unpacked bytes, which also vouches for a file that was compressed anew.
    """

    name: str
    digest: str
    content: str = ""


@dataclass(frozen=True)
class Form:
    """One form in which a data set is found on a disk: the first folder that holds all files is taken.

    ``shared_names``: other data sets use the same file names, so that in the root itself (folder "") the checksum
    of the second file (the labels: small) decides whose they are.
    """

    reader: Reader
    folders: tuple[str, ...]
    files: tuple[KnownFile, ...]
    fidelity: str
    shared_names: bool = False


@dataclass(frozen=True)
class Download:
    """An official file: where to put it, its addresses in the order in which they are tried, its checksum."""

    path: str
    urls: tuple[str, ...]
    digest: str


@dataclass(frozen=True)
class Source:
    """A data set; ``forms`` in order of preference. ``largest`` is the pixel value of white.

    ``decoded``: sha256 of the bytes of ``x_train``, where decoding can differ between machines (JPEG).
    """

    title: str
    licence: str
    classes: int
    largest: int
    forms: tuple[Form, ...]
    downloads: tuple[Download, ...] = ()
    decoded: str = ""


VERIFIED = "original files, checksums verified"
_IDX = (
    "train-images-idx3-ubyte.gz",
    "train-labels-idx1-ubyte.gz",
    "t10k-images-idx3-ubyte.gz",
    "t10k-labels-idx1-ubyte.gz",
)


def _idx_source(
    title: str, licence: str, folders: tuple[str, ...], mirrors: tuple[str, ...], digests: tuple[str, ...],
    contents: tuple[str, ...] = ("", "", "", ""), more: tuple[Form, ...] = (),
) -> Source:  # fmt: skip
    files = tuple(KnownFile(*row) for row in zip(_IDX, digests, contents, strict=True))
    downloads = tuple(Download(f"{folders[0]}/{f.name}", tuple(m + f.name for m in mirrors), f.digest) for f in files)
    form = Form("idx", (*folders, ""), files, VERIFIED, shared_names=True)
    return Source(title, licence, 10, 255, (form, *more), downloads)


SOURCES: dict[str, Source] = {
    "mnist": _idx_source(
        "MNIST",
        "(c) LeCun and Cortes; CC BY-SA 3.0 according to Keras",
        ("mnist", "MNIST/raw", "MNIST"),
        ("https://ossci-datasets.s3.amazonaws.com/mnist/", "http://yann.lecun.com/exdb/mnist/"),
        (
            "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
            "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
            "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
            "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
        ),
        (
            "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
            "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
            "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
            "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
        ),
    ),
    "fashion_mnist": _idx_source(
        "Fashion-MNIST",
        "MIT (Zalando SE)",
        ("fashion_mnist", "FashionMNIST/raw", "FashionMNIST", "fashion-mnist"),
        (
            "https://storage.googleapis.com/tensorflow/tf-keras-datasets/",
            "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
        ),
        (
            "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84",
            "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845",
            "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073",
            "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5",
        ),
        (
            "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
            "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
            "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
            "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
        ),
    ),
    "kmnist": _idx_source(
        "KMNIST",
        "CC BY-SA 4.0: KMNIST Dataset (created by CODH), adapted from Kuzushiji Dataset (created by NIJL and others), "
        "doi:10.20676/00000341",
        ("kmnist", "KMNIST/raw", "KMNIST"),
        ("https://codh.rois.ac.jp/kmnist/dataset/kmnist/", "http://codh.rois.ac.jp/kmnist/dataset/kmnist/"),
        (
            "51467d22d8cc72929e2a028a0428f2086b092bb31cfb79c69cc0a90ce135fde4",
            "e38f9ebcd0f3ebcdec7fc8eabdcdaef93bb0df8ea12bee65224341c8183d8e17",
            "edd7a857845ad6bb1d0ba43fe7e794d164fe2dce499a1694695a792adfac43c5",
            "20bb9a0ef54c7db3efc55a92eef5582c109615df22683c380526788f98e42a1c",
        ),
        more=(
            Form(
                "kmnist_test",
                ("kmnist", "KMNIST", ""),
                (
                    KnownFile(
                        "kmnist-test-imgs.npz", "692d824896bec8f3c357ebf7a0fe904ed67ac632ce953d0b58f7fbef7bb27d87"
                    ),
                    KnownFile(
                        "kmnist-test-labels.npz", "660f13a4705431ea2a6391c41ecbe384cd0d932c595a101ec4f3b8989e785046"
                    ),
                ),
                "the 10,000 test images alone, used for training; original files, checksums verified",
            ),
        ),
    ),
    "cifar10": Source(
        "CIFAR-10",
        "no licence stated; citation asked (Krizhevsky 2009)",
        10,
        255,
        (
            Form(
                "cifar_binary",
                ("", "cifar10", "CIFAR10"),
                (
                    KnownFile(
                        "cifar-10-binary.tar.gz", "c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd"
                    ),
                ),
                "original archive, checksum verified",
            ),
            Form(
                "cifar_python",
                ("", "cifar10", "CIFAR10"),
                (
                    KnownFile(
                        "cifar-10-python.tar.gz", "6d958be074577803d12ecdefd02955f39262c83c16fe9348329d7fe0b5c001ce"
                    ),
                ),
                "original archive, checksum verified",
            ),
            Form(
                "cifar_batches",
                ("cifar-10-batches-py", "cifar10/cifar-10-batches-py", "CIFAR10/cifar-10-batches-py", "cifar10"),
                (
                    KnownFile("data_batch_1", "md5:c99cafc152244af753f735de768cd75f"),
                    KnownFile("data_batch_2", "md5:d4bba439e000b95fd0a9bffe97cbabec"),
                    KnownFile("data_batch_3", "md5:54ebc095f3ab1f0389bbae665268c751"),
                    KnownFile("data_batch_4", "md5:634d18415352ddfa80567beed471001a"),
                    KnownFile("data_batch_5", "md5:482c414d41f54cd18b22e5b47cb7c3cb"),
                    KnownFile("test_batch", "md5:40351d587109b95175f43aff81a1287e"),
                ),
                VERIFIED,
            ),
            Form(
                "exact_4k1k",
                ("cifar10", "CIFAR10", ""),
                (
                    KnownFile(
                        "cifar10_exact_4k1k.npz", "9528b6650dcc9478c6f5f9458ebe6d75397e8289ec85f501d50b706681a2dfed"
                    ),
                ),
                "first 4,000 training and 1,000 test images, lossless",
            ),
        ),
        # the binary archive: the same pixels as the Python one, and no pickles to read
        (
            Download(
                "cifar10/cifar-10-binary.tar.gz",
                ("https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz",),
                "c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd",
            ),
        ),
    ),
    "cifar10_lossy": Source(
        "CIFAR-10 (JPEG)",
        "no licence stated; citation asked (Krizhevsky 2009)",
        10,
        255,
        (
            Form(
                "jpegpack",
                ("cifar10", "CIFAR10", ""),
                (
                    KnownFile(
                        "cifar10_q75_jpegpack.npz", "122824375b1a520a5e6eb724094b42961976ba8188bf4c69956aae2a907d296a"
                    ),
                ),
                "all images, re-compressed as JPEG quality 75 (lossy)",
            ),
        ),
        decoded="5aaf8a2cf2e577ff4dbb15e4f368840fab5aca1812bcc69682005f8dc661d466",
    ),
    "semeion": Source(
        "Semeion",
        "no licence stated; citation asked (UCI, Semeion Research Center)",
        10,
        1,
        (
            Form(
                "semeion",
                ("semeion", "SEMEION", ""),
                (
                    KnownFile(
                        "semeion.data.gz",
                        "07d63b2eeb2de17a50f8b62fc7c546c95f45fc88b6ef12fbe3188f963f77f272",
                        "f43228ae3da5ea6a3c95069d53450b86166770e3b719dcc333182128fe08d4b1",
                    ),
                ),
                "original file, checksum verified",
            ),
            Form(
                "semeion_npz",
                ("semeion",),
                (KnownFile("semeion.npz", "28fcfaae9b849c1125d90ab82a55af42c418ca3ebe0d946f1805ab9bec3e9a80"),),
                "original values, checksum verified",
            ),
        ),
        (
            Download(
                "semeion/semeion.data",
                (
                    "https://archive.ics.uci.edu/ml/machine-learning-databases/semeion/semeion.data",
                    "http://archive.ics.uci.edu/ml/machine-learning-databases/semeion/semeion.data",
                ),
                "f43228ae3da5ea6a3c95069d53450b86166770e3b719dcc333182128fe08d4b1",
            ),
        ),
    ),
}
