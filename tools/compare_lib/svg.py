"""A small plot as SVG text: lines over two logarithmic axes, so that what is a tenth can be seen to bend as well. No library."""
import html
import math

WIDTH, HEIGHT = 640, 380
LEFT, RIGHT, TOP, BOTTOM = 70, 32, 64, 52
COLOURS = ["#1f6feb", "#d1242f", "#1a7f37", "#8250df", "#bf8700"]


def label(value):
    if value >= 1000:
        return f"{value:,.0f}"
    return f"{value:.4g}"


class Axis:
    """Logarithmic, from one round number to another that are not the same; `fine` with 2 and 5 between powers of ten."""

    def __init__(self, values, begin, end, fine):
        self.begin, self.end = begin, end
        powers = range(math.floor(math.log10(min(values))) - 1, math.ceil(math.log10(max(values))) + 2)
        steps = (1, 2, 5) if fine else (1,)
        known = [step * 10.0 ** power for power in powers for step in steps]
        low = max(one for one in known if one <= min(values) * 1.0001)
        high = min(one for one in known if one >= max(values) * 0.9999 and one > low)
        self.low, self.high = math.log10(low), math.log10(high)
        self.ticks = [one for one in known if low <= one <= high]

    def at(self, value):
        return self.begin + (math.log10(value) - self.low) / (self.high - self.low) * (self.end - self.begin)


def plot(title, x_title, y_title, series):
    """`series`: {name: [(x, y), …]}; what is not above 0 is left out: no logarithm shows it."""
    series = {name: [(x, y) for x, y in sorted(points) if x > 0 and y > 0] for name, points in series.items()}
    series = {name: points for name, points in series.items() if points}
    xs = [x for points in series.values() for x, _ in points]
    ys = [y for points in series.values() for _, y in points]
    if not xs:
        xs = ys = [1]
    x_axis = Axis(xs, LEFT, WIDTH - RIGHT, fine=False)
    y_axis = Axis(ys, HEIGHT - BOTTOM, TOP, fine=True)
    parts = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" height="{HEIGHT}" '
             'font-family="sans-serif" font-size="12">', f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#ffffff"/>']

    def write(x, y, text, anchor="middle", extra=""):
        parts.append(f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" {extra}>{html.escape(text)}</text>')

    def line(x1, y1, x2, y2, colour):
        parts.append(f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="{colour}"/>')

    write(WIDTH / 2, 20, title, extra='font-size="14" font-weight="bold"')
    for tick in x_axis.ticks:
        line(x_axis.at(tick), TOP, x_axis.at(tick), HEIGHT - BOTTOM, "#e5e5e5")
        write(x_axis.at(tick), HEIGHT - BOTTOM + 18, label(tick))
    for tick in y_axis.ticks:
        line(LEFT, y_axis.at(tick), WIDTH - RIGHT, y_axis.at(tick), "#e5e5e5")
        write(LEFT - 8, y_axis.at(tick) + 4, label(tick), "end")
    line(LEFT, HEIGHT - BOTTOM, WIDTH - RIGHT, HEIGHT - BOTTOM, "#333333")
    line(LEFT, TOP, LEFT, HEIGHT - BOTTOM, "#333333")
    write((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 12, x_title)
    middle = (TOP + HEIGHT - BOTTOM) / 2
    write(16, middle, y_title, extra=f'transform="rotate(-90 16 {middle:.1f})"')
    for index, (name, points) in enumerate(series.items()):
        colour = COLOURS[index % len(COLOURS)]
        places = [(x_axis.at(x), y_axis.at(y)) for x, y in points]
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
        parts.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>')
        parts += [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3.5" fill="{colour}"/>' for x, y in places]
        left = LEFT + index * 180
        parts.append(f'<rect x="{left}" y="36" width="14" height="4" fill="{colour}"/>')
        write(left + 20, 43, name, "start")
    return "\n".join([*parts, "</svg>"]) + "\n"
