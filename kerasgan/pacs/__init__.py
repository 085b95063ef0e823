"""Scans from and to a PACS, by DICOMweb or by DIMSE, the services of classic DICOM associations.

`address` says where, `settings` as whom; `server` is what both ways have in common, `dicomweb` and `dimse` are the two;
`transfer` fetches what a model takes into a temporary folder and stores what it made. Nothing here knows a model.

Needs `pip install 'kerasgan[pacs]'`.
"""
