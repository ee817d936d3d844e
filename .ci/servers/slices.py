"""Writes CT slices of 512 x 512 x 16 bit, about 526 KB each: slices.py DIRECTORY [COUNT=2000] [A_SERIES=100].

For benchmarks and for tests that want much. Two series a study, two studies a patient. Synthetic, and the same at
every run. Needs pydicom and numpy.
"""
import pathlib
import sys

import numpy
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian

out = pathlib.Path(sys.argv[1])
count = int(sys.argv[2]) if len(sys.argv) > 2 else 2000
a_series = int(sys.argv[3]) if len(sys.argv) > 3 else 100
# A root of our own for tests.
ROOT = "1.2.826.0.1.3680043.10.1474.78"

random = numpy.random.default_rng(7)
y, x = numpy.mgrid[0:512, 0:512].astype(numpy.float32)
radius = numpy.hypot(y - 256, x - 256)
phantom = numpy.where(radius < 200, 40, numpy.where(radius < 220, 700, -1000)).astype(numpy.float32)
noise = random.normal(0, 12, (4, 512, 512)).astype(numpy.float32)


def slice_of(patient, study, series, number):
    ds = Dataset()
    ds.file_meta = FileMetaDataset()
    ds.file_meta.MediaStorageSOPClassUID = ds.SOPClassUID = CTImageStorage
    ds.file_meta.MediaStorageSOPInstanceUID = ds.SOPInstanceUID = f"{ROOT}.{study}.{series}.{number}"
    ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    ds.SpecificCharacterSet, ds.ImageType = "ISO_IR 100", ["ORIGINAL", "PRIMARY", "AXIAL"]
    ds.StudyDate = ds.SeriesDate = ds.AcquisitionDate = ds.ContentDate = f"2024{1 + study % 12:02}{1 + study % 28:02}"
    ds.StudyTime = ds.SeriesTime = ds.AcquisitionTime = ds.ContentTime = "101112"
    ds.AccessionNumber, ds.Modality, ds.Manufacturer = f"ACC{study:05}", "CT", "SyntheticCT"
    ds.InstitutionName, ds.InstitutionAddress, ds.ReferringPhysicianName = "Test Hospital", "1 Test Way", "Ref^Doc"
    ds.StationName, ds.StudyDescription, ds.SeriesDescription = "CT01", "CT CHEST", f"Axial {series}"
    ds.OperatorsName, ds.ManufacturerModelName = "Op^Erator", "Model 9"
    ds.PatientName, ds.PatientID, ds.PatientBirthDate = f"Test^Patient{patient:03}", f"PID{patient:06}", "19600102"
    ds.PatientSex, ds.PatientAge, ds.PatientWeight = "O", "064Y", "70"
    ds.SliceThickness, ds.KVP, ds.DeviceSerialNumber, ds.ProtocolName = "1", "120", "SN42", "Chest"
    ds.StudyInstanceUID, ds.SeriesInstanceUID = f"{ROOT}.{study}", f"{ROOT}.{study}.{series}"
    ds.StudyID, ds.SeriesNumber, ds.AcquisitionNumber, ds.InstanceNumber = str(study), series, 1, number
    ds.ImagePositionPatient, ds.ImageOrientationPatient = ["-250", "-250", str(number)], ["1", "0", "0", "0", "1", "0"]
    ds.FrameOfReferenceUID, ds.SliceLocation = f"{ROOT}.{study}.99", str(number)
    ds.SamplesPerPixel, ds.PhotometricInterpretation = 1, "MONOCHROME2"
    ds.Rows = ds.Columns = 512
    ds.PixelSpacing, ds.PixelRepresentation = ["0.976562", "0.976562"], 1
    ds.BitsAllocated, ds.BitsStored, ds.HighBit = 16, 16, 15
    ds.WindowCenter, ds.WindowWidth, ds.RescaleIntercept, ds.RescaleSlope = "40", "400", "0", "1"
    block = ds.private_block(0x0029, "SYNTH VENDOR 1", create=True)
    block.add_new(0x10, "OB", b"\x5a" * 512)
    block.add_new(0x11, "LO", "private note")
    return ds


for n in range(count):
    series, number = divmod(n, a_series)
    ds = slice_of(series // 4 + 1, series // 2 + 1, series + 1, number + 1)
    ds.PixelData = (phantom + numpy.roll(noise[n % 4], n % 512, axis=1)).clip(-1024, 3071).astype("<i2").tobytes()
    directory = out / f"{series + 1:03}"
    directory.mkdir(parents=True, exist_ok=True)
    ds.save_as(directory / f"{number + 1:04}.dcm", enforce_file_format=True)
