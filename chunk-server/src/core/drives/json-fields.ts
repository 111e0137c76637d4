/** The fields of a small file of JSON; throws what `damaged` makes, with the cause, for anything else. */
export function parseFields(
  content: Uint8Array,
  damaged: (cause?: unknown) => Error,
): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(Buffer.from(content).toString('utf8'))
    if (typeof value === 'object' && value !== null) return value as Record<string, unknown>
  } catch (error) {
    throw damaged(error)
  }
  throw damaged()
}
