/** Bodies that tell by every byte whose they are, and what S3 says of them. Shares no code with the product. */
import { createHash } from 'node:crypto'

/** The body of write `op`: xorshift32 from a seed of its number, so that no two places look alike. */
export function bodyOf(op: number, sizeBytes: number): Buffer {
  const words = new Uint32Array(Math.ceil(sizeBytes / 4))
  let state = Math.imul(op + 1, 0x9e3779b9) >>> 0 || 1
  for (let at = 0; at < words.length; at++) {
    state ^= state << 13
    state ^= state >>> 17
    state ^= state << 5
    words[at] = state
  }
  return Buffer.from(words.buffer, 0, sizeBytes)
}

/** The ETag of a plain object. */
export function etagOfBody(body: Uint8Array): string {
  return createHash('md5').update(body).digest('hex')
}

/** The ETag of an object made of parts. */
export function etagOfParts(parts: readonly Uint8Array[]): string {
  const whole = createHash('md5')
  for (const part of parts) whole.update(createHash('md5').update(part).digest())
  return `${whole.digest('hex')}-${parts.length}`
}
