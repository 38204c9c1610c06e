"""For a CPU: torchvision's wheel is linked with CUDA, so the operators that its Python part describes are
missing.

Put into the site-packages of the environment that SGLang is tested in. They are declared before torchvision is
imported; nothing calls them.
"""

import importlib.abc
import sys


class _Finder(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path, target=None):
        if name == "torchvision":
            sys.meta_path.remove(self)
            import torch

            self.kept = torch.library.Library("torchvision", "DEF")
            self.kept.define("nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
            self.kept.define("qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
            sys.torchvision_operators = self.kept  # they go with the object
        return None


sys.meta_path.insert(0, _Finder())
