"""Links for chains of your own: `chain(center, scale_by_std, clip, limit=5)`."""


def clip(a, g, op, *, limit=5):
    """a, no larger than limit in magnitude (`adv_clip_max` in verl's forks)."""
    return op.minimum(op.maximum(a, -limit), limit)


def multiply(a, g, op, *, factor=1):
    """factor a."""
    return factor * a


def scale_by_floored_std(a, g, op, *, ddof=0, floor=1e-6):
    """a / max(std r, floor), the std with denominator G - ddof; 0 in a group of equal rewards."""
    variance = op.div(op.sum(g.weight * g.centred**2), g.size - ddof)
    return op.div(a, op.maximum(op.sqrt(variance), floor))


def scale_by_mad(a, g, op, *, eps=1e-4):
    """a G / (sum |r - mean r| + eps): the mean absolute deviation in place of the std."""
    return op.div(a * g.size, op.sum(g.weight * abs(g.centred)) + eps)
