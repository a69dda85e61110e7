from reswork.results.metrics import Metric

IOU = Metric("mean_iou", "mean IoU", ".1%", True, "Overlap.")
ERROR = Metric("rmse", "error", ".3f", False, "Distance.")


def test_a_value_is_told_and_compared_as_the_metric_says() -> None:
    assert (IOU.told(0.4567), ERROR.told(0.4567), IOU.told(None)) == ("45.7%", "0.457", "")
    assert (IOU.test, ERROR.train) == ("mean_iou/test", "rmse/train")
    assert IOU.reaches(0.5, 0.5) and not IOU.reaches(0.4, 0.5)
    assert ERROR.reaches(0.4, 0.5) and not ERROR.reaches(0.6, 0.5)
    assert IOU.is_share and not ERROR.is_share
