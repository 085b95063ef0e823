"""A `slicer`, and the interface of its extension ModalityConverter, as far as what kerasgan exports uses them.

The names and what they do are those of ModalityConverterLib/ModelBase.py and inference_worker.py in
https://github.com/ciroraggio/SlicerModalityConverter: its worker passes arrays alone, in stand-ins for volumes.
"""

import json
import sys
import types
from pathlib import Path


class Array:
    """A volume of the worker: voxels, and no place."""

    def __init__(self, array=None):
        self.array = array

    def CopyOrientation(self, other):  # noqa: N802
        pass


class Node(Array):
    """A volume of Slicer, which knows its place: from indices (x, y, z) to mm, RAS."""

    def __init__(self, array=None, affine=None, path=None):
        super().__init__(array)
        self.affine, self.path = affine, path

    def GetIJKToRASMatrix(self, matrix):  # noqa: N802
        matrix.array = self.affine

    def CopyOrientation(self, other):  # noqa: N802
        self.affine = other.affine

    def GetName(self):  # noqa: N802
        return "head"

    def GetTransformNodeID(self):  # noqa: N802
        return "transform 1"

    def SetAndObserveTransformNodeID(self, transform):  # noqa: N802
        self.transform = transform


def install(extension=None):
    """Puts the modules of a made-up Slicer into `sys.modules`, and returns its `slicer`."""
    slicer = types.ModuleType("slicer")
    slicer.said, slicer.installed = [], []
    slicer.modules = types.SimpleNamespace()
    slicer.util = types.SimpleNamespace(
        arrayFromVolume=lambda node: node.array,
        arrayFromVTKMatrix=lambda matrix: matrix.array,
        updateVolumeFromArray=lambda node, array: setattr(node, "array", array),
        warningDisplay=slicer.said.append,
        infoDisplay=slicer.said.append,
        pip_install=slicer.installed.append,
    )
    loadable = types.ModuleType("slicer.ScriptedLoadableModule")
    for name in ("", "Logic", "Widget"):
        setattr(loadable, f"ScriptedLoadableModule{name}", type(f"ScriptedLoadableModule{name}", (), {}))
    vtk = types.ModuleType("vtk")
    vtk.vtkMatrix4x4 = types.SimpleNamespace
    sys.modules |= {"slicer": slicer, "slicer.ScriptedLoadableModule": loadable, "vtk": vtk}
    sys.modules |= {"qt": types.ModuleType("qt"), "ctk": types.ModuleType("ctk")}
    if extension:
        slicer.modules.modalityconverter = types.SimpleNamespace(path=str(extension / "ModalityConverter.py"))
        base = types.ModuleType("ModalityConverterLib.ModelBase")
        base.BaseModel, base.register_model, base.MODEL_REGISTRY = BaseModel, register_model, MODEL_REGISTRY
        BaseModel.folder = extension / "Resources" / "Models"
        sys.modules |= {"ModalityConverterLib": types.ModuleType("ModalityConverterLib"), base.__name__: base}
    return slicer


def write_extension(folder):
    """The folders of an extension that has one model of another maker."""
    (folder / "Resources" / "Models").mkdir(parents=True)
    (folder / "ModalityConverterLib" / "ModelsImpl").mkdir(parents=True)
    (folder / "Resources" / "Models" / "metadata.json").write_text(json.dumps({"other": {"module_name": "Other"}}))
    return folder


MODEL_REGISTRY = {}


def register_model(key):
    return lambda model: MODEL_REGISTRY.setdefault(key, model)


class BaseModel:
    """Finds the file whose name begins with the model's key, and lets the subclass open it."""

    def __init__(self, modelKey, device="cpu"):  # noqa: N803
        self.modelKey, self.device, self.model, self.told = modelKey, device.lower(), None, []

    def reportProgress(self, percent, message):  # noqa: N802
        self.told.append(message)

    def loadModel(self):  # noqa: N802
        (found,) = Path(self.folder).glob(f"{self.modelKey}*")
        self.model = self._loadModelFromPath(str(found))


def write_nrrd(source, path):
    """An image file as Slicer writes a volume."""
    import SimpleITK as sitk

    sitk.WriteImage(sitk.ReadImage(str(source)), str(path))
