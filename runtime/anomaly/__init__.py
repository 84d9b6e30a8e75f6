"""Parts judged by how far they lie from good ones: the distance of feature maps from a bank of remembered patches."""

from edgetl.runtime.anomaly.detector import Detector, read_bank
from edgetl.runtime.anomaly.record import ANOMALY, BankRecord, DetectorRecord, Grid

__all__ = ["ANOMALY", "BankRecord", "Detector", "DetectorRecord", "Grid", "read_bank"]
