/** RFC 1123 with whole seconds, as `Date` and `Last-Modified` are written. */
export function formatHttpDate(timeMs: number): string {
  return new Date(timeMs).toUTCString()
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
