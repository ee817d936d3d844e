"""Writes one study in every usual transfer syntax: corpus.py DIRECTORY.

Series 1 holds ten CT or secondary capture images, each in a transfer syntax of its own; series 2 a multi-frame
ultrasound. Names are NN-what.dcm, NN the instance number and the last component of the SOP instance UID. Synthetic,
and the same at every run. Needs pydicom, numpy, pylibjpeg-openjpeg, pyjpegls and DCMTK.
"""
import pathlib
import subprocess
import sys

import numpy
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import (
    CTImageStorage,
    ExplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGLSNearLossless,
    SecondaryCaptureImageStorage,
    UltrasoundMultiFrameImageStorage,
)

out = pathlib.Path(sys.argv[1])
# A root of our own for tests; the study is ROOT.
ROOT = "1.2.826.0.1.3680043.10.1474.77"
SIDE = 64


def image(number, sop_class, modality, series=1):
    ds = Dataset()
    ds.file_meta = FileMetaDataset()
    ds.file_meta.MediaStorageSOPClassUID = ds.SOPClassUID = sop_class
    ds.file_meta.MediaStorageSOPInstanceUID = ds.SOPInstanceUID = f"{ROOT}.{series}.{number}"
    ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    ds.SpecificCharacterSet = "ISO_IR 100"
    ds.StudyDate, ds.StudyTime, ds.AccessionNumber = "20240102", "101112", "TS1"
    ds.Modality, ds.ReferringPhysicianName, ds.StudyDescription = modality, "Ref^Doc", "TRANSFER SYNTAXES"
    ds.PatientName, ds.PatientID, ds.PatientBirthDate, ds.PatientSex = "Transfer^Syntax", "TSTEST", "19600102", "O"
    ds.StudyInstanceUID, ds.SeriesInstanceUID = ROOT, f"{ROOT}.{series}"
    ds.StudyID, ds.SeriesNumber, ds.InstanceNumber = "1", series, number
    ds.SeriesDescription = "one of each" if series == 1 else "frames"
    ds.SamplesPerPixel, ds.PhotometricInterpretation = 1, "MONOCHROME2"
    ds.Rows = ds.Columns = SIDE
    ds.PixelRepresentation = 0
    return ds


def pixels(ds, array):
    ds.BitsAllocated = ds.BitsStored = array.dtype.itemsize * 8
    ds.HighBit = ds.BitsStored - 1
    ds.PixelData = array.tobytes()
    ds["PixelData"].VR = "OW" if ds.BitsAllocated == 16 else "OB"
    return ds


def ct(number):
    y, x = numpy.mgrid[0:SIDE, 0:SIDE]
    array = (numpy.hypot(y - SIDE / 2, x - SIDE / 2) * 37 + number * 101).astype("<u2")
    ds = pixels(image(number, CTImageStorage, "CT"), array)
    ds.RescaleIntercept, ds.RescaleSlope = "-1024", "1"
    return ds


def grey(number, sop_class, modality, frames=None, series=1):
    y, x = numpy.mgrid[0:SIDE, 0:SIDE]
    array = numpy.stack([(x * 2 + y + n * 16) % 256 for n in range(frames or 1)]).astype("u1")
    ds = pixels(image(number, sop_class, modality, series), array)
    if frames:
        ds.NumberOfFrames, ds.FrameTime = frames, "40"
        ds.FrameIncrementPointer = 0x00181063
    return ds


def save(ds, name):
    path = out / f"{ds.InstanceNumber:02}-{name}.dcm"
    ds.save_as(path, enforce_file_format=True)
    return path


def through(ds, name, *command):
    plain = save(ds, name + ".plain")
    subprocess.run([*command, plain, out / f"{ds.InstanceNumber:02}-{name}.dcm"], check=True)
    plain.unlink()


out.mkdir(parents=True, exist_ok=True)
through(ct(1), "explicit", "dcmconv", "+te")
through(ct(2), "implicit", "dcmconv", "+ti")
through(ct(3), "big-endian", "dcmconv", "+tb")
through(ct(4), "deflated", "dcmconv", "+td")
through(grey(5, SecondaryCaptureImageStorage, "OT"), "jpeg-baseline", "dcmcjpeg", "+eb", "+un")
through(ct(6), "jpeg-lossless", "dcmcjpeg", "+e1", "+un")
through(ct(7), "jpeg-ls", "dcmcjpls", "+un")
for number, name, syntax, options in ((8, "jpeg-ls-near", JPEGLSNearLossless, {"jls_error": 2}), (9, "jpeg-2000", JPEG2000Lossless, {})):
    ds = ct(number)
    ds.compress(syntax, generate_instance_uid=False, **options)
    save(ds, name)
through(ct(10), "rle", "dcmcrle", "+un")
through(grey(11, UltrasoundMultiFrameImageStorage, "US", frames=5, series=2), "multi-frame", "dcmcjpeg", "+e1", "+un")
