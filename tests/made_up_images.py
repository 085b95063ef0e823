"""NIfTI, MetaImage and NRRD files, byte by byte, with any field as a test wants it."""

import gzip
import struct

import numpy as np

NIFTI = {  # place and struct format of a field of NIfTI-1
    "sizeof_hdr": (0, "i"),
    "dim": (40, "8h"),
    "datatype": (70, "h"),
    "bitpix": (72, "h"),
    "pixdim": (76, "8f"),
    "vox_offset": (108, "f"),
    "scl": (112, "2f"),
    "xyzt_units": (123, "B"),
    "codes": (252, "2h"),  # qform_code, sform_code
    "quatern": (256, "3f"),
    "qoffset": (268, "3f"),
    "srow": (280, "12f"),
    "magic": (344, "4s"),
}
NIFTI_2 = {
    "sizeof_hdr": (0, "i"),
    "dim": (16, "8q"),
    "datatype": (12, "h"),
    "bitpix": (14, "h"),
    "pixdim": (104, "8d"),
    "vox_offset": (168, "q"),
    "scl": (176, "2d"),
    "xyzt_units": (500, "i"),
    "codes": (344, "2i"),
    "quatern": (352, "3d"),
    "qoffset": (376, "3d"),
    "srow": (400, "12d"),
    "magic": (4, "8s"),
}
DATATYPES = {"u1": 2, "i2": 4, "i4": 8, "f4": 16, "f8": 64, "i1": 256, "u2": 512, "u4": 768, "i8": 1024, "u8": 1280}
ARRAY = np.arange(24, dtype="i2").reshape(2, 3, 4)  # [slices, rows, columns]


def nifti_bytes(array=ARRAY, order="<", fields=NIFTI, tail=b"", **values):
    """A NIfTI whose columns run to the left, rows to posterior, slices up, in voxels of 2, 3 and 4 mm.

    Its first voxel is at (5, 6, 7) mm, LPS; sform and qform say the same.
    """
    version_2 = fields is NIFTI_2
    start = 544 if version_2 else 352
    default = {
        "sizeof_hdr": 540 if version_2 else 348,
        "dim": (array.ndim, *array.shape[::-1], *[1] * (7 - array.ndim)),
        "datatype": DATATYPES[array.dtype.str[1:]],
        "bitpix": 8 * array.dtype.itemsize,
        "pixdim": (1, 2, 3, 4, 0, 0, 0, 0),
        "vox_offset": start,
        "scl": (1, 0),
        "xyzt_units": 2,
        "codes": (1, 1),
        "quatern": (0, 0, 1),  # half a turn about the long axis: from RAS to LPS
        "qoffset": (-5, -6, 7),
        "srow": (-2, 0, 0, -5, 0, -3, 0, -6, 0, 0, 4, 7),
        "magic": b"n+2\0\r\n\x1a\n" if version_2 else b"n+1\0",
    }
    content = bytearray(start)
    for name, value in (default | values).items():
        place, form = fields[name]
        struct.pack_into(order + form, content, place, *np.atleast_1d(value).tolist())
    return bytes(content) + array.astype(array.dtype.newbyteorder(order)).tobytes() + tail


def nifti(path, array=ARRAY, **options):
    """Writes `nifti_bytes`, compressed where the name says so; returns the path."""
    content = nifti_bytes(array, **options)
    path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)
    return path


def metaimage(path, content=None, array=ARRAY, **fields):
    """Writes a MetaImage of the same voxels and place as `nifti_bytes`; a field given as None is left out.

    `content` are the bytes after the header.
    """
    header = {
        "ObjectType": "Image",
        "NDims": 3,
        "BinaryData": True,
        "TransformMatrix": "1 0 0 0 1 0 0 0 1",
        "Offset": "5 6 7",
        "ElementSpacing": "2 3 4",
        "DimSize": "4 3 2",
        "ElementType": "MET_SHORT",
        **fields,
    }
    header["ElementDataFile"] = header.pop("ElementDataFile", "LOCAL")
    text = "".join(f"{key} = {value}\n" for key, value in header.items() if value is not None)
    path.write_bytes(text.encode() + (array.tobytes() if content is None else content))
    return path


def nrrd(path, content=None, array=ARRAY, **fields):
    """Writes a NRRD of the same voxels and place as `nifti_bytes`; a field given as None is left out.

    `content` are the bytes after the header; a `_` in the name of a field stands for a blank.
    """
    header = {
        "type": "short",
        "dimension": 3,
        "space": "left-posterior-superior",
        "sizes": "4 3 2",
        "space directions": "(2,0,0) (0,3,0) (0,0,4)",
        "kinds": "domain domain domain",
        "endian": "little",
        "encoding": "raw",
        "space origin": "(5,6,7)",
        **{name.replace("_", " "): value for name, value in fields.items()},
    }
    lines = [f"{name}: {value}" for name, value in header.items() if value is not None]
    text = "\n".join(["NRRD0005", "# made up", *lines, "key:=value", "", ""])
    path.write_bytes(text.encode() + (array.tobytes() if content is None else content))
    return path
