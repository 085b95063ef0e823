"""A DICOM node: what a scanner or a PACS sends by C-STORE is translated by rules, and stored where a rule says.

`config` is what the user decides; `queue` keeps each series on disk from its first image to its end; `receiver` takes
images, `worker` decides, translates and sends; `health` says how it goes, and `service` runs them all.

Needs `pip install 'kerasgan[pacs]'`.
"""
