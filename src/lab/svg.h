// A drawing, as SVG 1.1 text. Coordinates in pixels, from the upper left.
#pragma once

#include <string>
#include <string_view>

namespace holdfast::lab {

// Colours that people with any kind of colour vision tell apart (Okabe and Ito, 2008), and greys.
namespace colour {
inline constexpr std::string_view kBlue = "#0072b2", kOrange = "#e69f00", kGreen = "#009e73", kRed = "#d55e00",
                                  kPurple = "#cc79a7", kSky = "#56b4e9";
inline constexpr std::string_view kInk = "#222222", kSoft = "#666666", kGrid = "#e2e2e2", kPaper = "#ffffff";
}  // namespace colour

// The shape says what the colour says, for prints in grey.
enum class Mark : unsigned char { kNone, kCircle, kSquare, kTriangle, kDiamond };

class Svg {
 public:
  Svg(double width, double height);

  struct Stroke {
    std::string_view colour = colour::kInk;
    double width = 1;
    std::string_view dashes;  // stroke-dasharray; empty: solid
  };
  struct Letters {
    double size = 12;
    std::string_view colour = colour::kInk;
    std::string_view anchor = "start";  // start, middle, end
    bool bold = false;
    bool fixed = false;  // a fixed-width face
    double rotate = 0;   // degrees, around its own position
    bool halo = false;   // on paper-coloured ground
  };

  void line(double x1, double y1, double x2, double y2, const Stroke& stroke);
  // "x,y x,y …"
  void polyline(const std::string& points, const Stroke& stroke);
  void polygon(const std::string& points, std::string_view fill);
  void rectangle(double x, double y, double width, double height, std::string_view fill,
                 std::string_view border = "none");
  void mark(Mark mark, double x, double y, double size, std::string_view colour);
  void text(double x, double y, std::string_view text, const Letters& letters);
  // The whole document.
  std::string finish() const { return text_ + "</svg>\n"; }

 private:
  std::string text_;
};

}  // namespace holdfast::lab
