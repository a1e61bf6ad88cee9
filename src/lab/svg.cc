#include "lab/svg.h"

#include <fmt/format.h>

namespace holdfast::lab {
namespace {

std::string escaped(std::string_view text) {
  std::string result;
  for (const char c : text) {
    switch (c) {
      case '&':
        result += "&amp;";
        break;
      case '<':
        result += "&lt;";
        break;
      case '>':
        result += "&gt;";
        break;
      default:
        result += c;
    }
  }
  return result;
}

std::string stroke_of(const Svg::Stroke& stroke) {
  std::string text = fmt::format("stroke=\"{}\" stroke-width=\"{:g}\" fill=\"none\"", stroke.colour, stroke.width);
  if (!stroke.dashes.empty()) text += fmt::format(" stroke-dasharray=\"{}\"", stroke.dashes);
  return text;
}

}  // namespace

Svg::Svg(double width, double height)
    : text_(fmt::format("<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{0:g}\" height=\"{1:g}\" "
                        "viewBox=\"0 0 {0:g} {1:g}\" font-family=\"DejaVu Sans, Verdana, sans-serif\">\n",
                        width, height)) {
  rectangle(0, 0, width, height, colour::kPaper);
}

void Svg::line(double x1, double y1, double x2, double y2, const Stroke& stroke) {
  text_ += fmt::format("<line x1=\"{:.1f}\" y1=\"{:.1f}\" x2=\"{:.1f}\" y2=\"{:.1f}\" {}/>\n", x1, y1, x2, y2,
                       stroke_of(stroke));
}

void Svg::polyline(const std::string& points, const Stroke& stroke) {
  text_ += fmt::format("<polyline points=\"{}\" stroke-linejoin=\"round\" {}/>\n", points, stroke_of(stroke));
}

void Svg::polygon(const std::string& points, std::string_view fill) {
  text_ += fmt::format("<polygon points=\"{}\" fill=\"{}\"/>\n", points, fill);
}

void Svg::rectangle(double x, double y, double width, double height, std::string_view fill, std::string_view border) {
  text_ +=
      fmt::format("<rect x=\"{:.1f}\" y=\"{:.1f}\" width=\"{:.1f}\" height=\"{:.1f}\" fill=\"{}\" stroke=\"{}\"/>\n", x,
                  y, width, height, fill, border);
}

void Svg::mark(Mark mark, double x, double y, double size, std::string_view colour) {
  const double r = size / 2;
  switch (mark) {
    case Mark::kNone:
      return;
    case Mark::kCircle:
      text_ += fmt::format("<circle cx=\"{:.1f}\" cy=\"{:.1f}\" r=\"{:.1f}\" fill=\"{}\"/>\n", x, y, r, colour);
      return;
    case Mark::kSquare:
      return rectangle(x - r * 0.9, y - r * 0.9, r * 1.8, r * 1.8, colour);
    case Mark::kTriangle:
      return polygon(fmt::format("{:.1f},{:.1f} {:.1f},{:.1f} {:.1f},{:.1f}", x, y - r * 1.15, x + r * 1.15,
                                 y + r * 0.9, x - r * 1.15, y + r * 0.9),
                     colour);
    case Mark::kDiamond:
      return polygon(fmt::format("{:.1f},{:.1f} {:.1f},{:.1f} {:.1f},{:.1f} {:.1f},{:.1f}", x, y - r * 1.25,
                                 x + r * 1.25, y, x, y + r * 1.25, x - r * 1.25, y),
                     colour);
  }
}

void Svg::text(double x, double y, std::string_view text, const Letters& letters) {
  std::string more;
  if (letters.bold) more += " font-weight=\"bold\"";
  if (letters.fixed) more += " font-family=\"DejaVu Sans Mono, monospace\"";
  if (letters.rotate != 0) more += fmt::format(" transform=\"rotate({:.2f} {:.1f} {:.1f})\"", letters.rotate, x, y);
  // Drawn first, so that what lies behind keeps its distance; readers without `paint-order` see the letters all the
  // same.
  if (letters.halo) more += fmt::format(" stroke=\"{}\" stroke-width=\"4\" paint-order=\"stroke\"", colour::kPaper);
  text_ +=
      fmt::format("<text x=\"{:.1f}\" y=\"{:.1f}\" font-size=\"{:g}\" fill=\"{}\" text-anchor=\"{}\"{}>{}</text>\n", x,
                  y, letters.size, letters.colour, letters.anchor, more, escaped(text));
}

}  // namespace holdfast::lab
