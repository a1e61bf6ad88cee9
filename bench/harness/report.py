"""Rows of results: the peer's figures, Holdfast's, and the ratio of each pair."""

import statistics


class Row:
    """One figure. `better` is "higher" or "lower". A ratio says how many times better Holdfast is: above 1 it wins."""

    def __init__(self, section, name, unit, better, goal=None, floor=None, limit=None):
        self.section = section
        self.name = name
        self.unit = unit
        self.better = better
        self.goal = goal    # ratio
        self.floor = floor  # ratio, at the least
        self.limit = limit  # absolute, for Holdfast
        self.values = {"peer": [], "holdfast": []}

    def add(self, side, value):
        self.values[side].append(value)

    def median(self, side):
        return statistics.median(self.values[side]) if self.values[side] else None

    def ratio(self):
        """The median of the pairs' ratios: what drifts between pairs cancels out."""
        pairs = [(p, h) for p, h in zip(self.values["peer"], self.values["holdfast"]) if p > 0 and h > 0]
        if not pairs:
            return None
        return statistics.median(h / p if self.better == "higher" else p / h for p, h in pairs)

    def verdict(self):
        ratio, value = self.ratio(), self.median("holdfast")
        if self.limit is not None and value is not None:
            met = value <= self.limit if self.better == "lower" else value >= self.limit
            return "met" if met else "missed"
        if self.goal is None or ratio is None:
            return ""
        if ratio >= self.goal:
            return "met"
        return "above the floor" if self.floor is not None and ratio >= self.floor else "missed"

    def to_json(self):
        return {
            "section": self.section, "name": self.name, "unit": self.unit, "better": self.better, "goal": self.goal,
            "floor": self.floor, "limit": self.limit, "peer": self.values["peer"],
            "holdfast": self.values["holdfast"], "ratio": self.ratio(), "verdict": self.verdict(),
        }


def _number(value):
    if value is None:
        return "-"
    if abs(value) >= 10000:
        return f"{value:,.0f}"
    return f"{value:.4g}"


def table(rows):
    lines = [("", "what", "unit", "peer", "holdfast", "ratio", "goal", "")]
    for row in rows:
        goal = f"{row.goal:g}x" if row.goal is not None else ""
        if row.limit is not None:
            goal = f"{'<=' if row.better == 'lower' else '>='} {row.limit:g}"
        ratio = row.ratio()
        lines.append((row.section, row.name, row.unit, _number(row.median("peer")), _number(row.median("holdfast")),
                      f"{ratio:.2f}x" if ratio is not None else "-", goal, row.verdict()))
    widths = [max(3, *(len(line[i]) for line in lines)) for i in range(len(lines[0]))]
    right = {3, 4, 5, 6}
    out = []
    for number, line in enumerate(lines):
        cells = [cell.rjust(w) if i in right else cell.ljust(w) for i, (cell, w) in enumerate(zip(line, widths))]
        out.append("| " + " | ".join(cells) + " |")
        if number == 0:
            out.append("| " + " | ".join("-" * (w - 1) + (":" if i in right else "-") for i, w in enumerate(widths)) + " |")
    return "\n".join(out)
