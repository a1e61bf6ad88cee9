#include "model/property.h"

namespace holdfast::model {

std::string_view to_string(Property property) {
  switch (property) {
    case Property::kNone:
      return "nothing broken";
    case Property::kAgreement:
      return "both are ESTABLISHED and do not agree, or on fewer ways than were asked for";
    case Property::kCopies:
      return "a strict side goes on although too few copies were certified, or existed";
    case Property::kAsked:
      return "ESTABLISHED, and the other side never agreed to this connection";
    case Property::kStored:
      return "a segment left before what it asserts was stored";
    case Property::kOrder:
      return "a step was taken out of order";
    case Property::kForgery:
      return "a segment that the peer never sent changed something";
    case Property::kEnds:
      return "neither both ESTABLISHED nor both CLOSED in the end, although the channel became fair";
    case Property::kNoLivelock:
      return "segments without end, although the channel became fair";
    case Property::kSurvives:
      return "given up, although the channel became fair in time";
    case Property::kNominal:
      return "without any fault it ends otherwise than ESTABLISHED with the lesser N";
  }
  return "unknown";
}

}  // namespace holdfast::model
