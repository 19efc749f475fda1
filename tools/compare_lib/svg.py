"""A small plot as SVG text: lines over a logarithmic x axis, the y axis from 0 or logarithmic too. No library."""
import html
import math

WIDTH, HEIGHT = 640, 380
LEFT, RIGHT, TOP, BOTTOM = 70, 20, 64, 52
COLOURS = ["#1f6feb", "#d1242f", "#1a7f37", "#8250df", "#bf8700"]


def nice_step(most, about=5):
    """A step of 1, 2 or 5 times a power of ten."""
    raw = most / about
    power = 10 ** math.floor(math.log10(raw))
    return next(step * power for step in (1, 2, 5, 10) if step * power >= raw)


def label(value):
    if value >= 1000:
        return f"{value:,.0f}"
    return f"{value:.4g}"


class Axis:
    def __init__(self, values, begin, end, logarithmic):
        self.begin, self.end, self.logarithmic = begin, end, logarithmic
        if logarithmic:
            self.low = math.floor(math.log10(min(values)) + 1e-9)
            self.high = max(math.ceil(math.log10(max(values)) - 1e-9), self.low + 1)
            self.ticks = [10.0 ** power for power in range(self.low, self.high + 1)]
        else:
            step = nice_step(max(values) or 1)
            self.low, self.high = 0, step * math.ceil((max(values) or 1) / step)
            self.ticks = [step * count for count in range(round(self.high / step) + 1)]

    def at(self, value):
        place = math.log10(value) if self.logarithmic else value
        return self.begin + (place - self.low) / (self.high - self.low) * (self.end - self.begin)


def plot(title, x_title, y_title, series, y_logarithmic=False):
    """`series`: {name: [(x, y), …]}, each x more than 0; with a logarithmic y axis what is not above 0 is left out."""
    series = {name: [(x, y) for x, y in sorted(points) if y > 0 or not y_logarithmic] for name, points in series.items()}
    series = {name: points for name, points in series.items() if points}
    xs = [x for points in series.values() for x, _ in points]
    ys = [y for points in series.values() for _, y in points]
    x_axis = Axis(xs, LEFT, WIDTH - RIGHT, True)
    y_axis = Axis(ys, HEIGHT - BOTTOM, TOP, y_logarithmic)
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
