const DAY_MS = 86_400_000
/** `04:05:06 GMT`. */
const TIME_LENGTH = 12
/** 00 to 59. */
const TWO_DIGITS: readonly string[] = Array.from({ length: 60 }, (_, number) =>
  String(number).padStart(2, '0'),
)

let day = Number.NaN
let dayText = ''

/** RFC 1123 with whole seconds, as `Date` and `Last-Modified` are written. The day is formatted when it changes. */
export function formatHttpDate(timeMs: number): string {
  const today = Math.floor(timeMs / DAY_MS)
  if (today !== day) {
    dayText = new Date(timeMs).toUTCString().slice(0, -TIME_LENGTH)
    day = today
  }
  const seconds = Math.floor((timeMs - today * DAY_MS) / 1000)
  const minutes = Math.floor(seconds / 60)
  const hour = TWO_DIGITS[Math.floor(minutes / 60)]
  return `${dayText}${hour}:${TWO_DIGITS[minutes % 60]}:${TWO_DIGITS[seconds % 60]} GMT`
}

/** The `Date` header, formatted once a second. */
export function createDateHeader(): (nowMs: number) => string {
  let second = -1
  let text = ''
  return (nowMs) => {
    const now = Math.floor(nowMs / 1000)
    if (now !== second) {
      second = now
      text = formatHttpDate(nowMs)
    }
    return text
  }
}
