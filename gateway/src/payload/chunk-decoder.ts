/**
 * The framing of aws-chunked: a state machine that is fed with what the socket gives, cut anywhere, and yields
 * slices of it without copying.
 *
 *     SIZE;chunk-signature=SIGNATURE \r\n  BYTES \r\n  …  0;chunk-signature=… \r\n  NAME:VALUE \r\n …  \r\n
 *
 * minio-go ends the lines of a trailer by \n alone, and has one more \r\n before their signature, or at the end where
 * there is none; S3 takes that (https://github.com/minio/minio-go/pull/1705), and so do we.
 *
 * Whoever uses it must discard everything unless `finish` returned: a bad chunk is noticed at its end.
 */
import { S3Error } from '../errors.js'
import { CHUNK_LINE_BYTES_MAX, PUT_BYTES_MAX, TRAILERS_MAX } from '../limits.js'
import type { ChunkVerifier } from './chunk-verifier.js'

export interface ChunkDecoderOptions {
  /** `x-amz-decoded-content-length`. */
  readonly decodedBytes: number
  /** Present for signed chunks. */
  readonly verifier?: ChunkVerifier
  /** Whether a trailer may follow; a signed one if there is a verifier. */
  readonly trailer: boolean
  /** Names from `x-amz-trailer`, in lower case: nothing else may come, and each of them must. */
  readonly trailerNames: readonly string[]
}

type State = 'size' | 'data' | 'dataEnd' | 'trailer' | 'signature' | 'end' | 'closed'

const LINE_FEED = 0x0a
const CARRIAGE_RETURN = 0x0d
const SIZE_LINE = /^([0-9a-fA-F]{1,10})(?:;chunk-signature=([^;\s]+))?$/
const TRAILER_LINE = /^([A-Za-z0-9-]+):[ \t]*([\x20-\x7e]*?)[ \t]*$/
/** A line that may do without \r: blanks before the end would hide one that was lost. */
const ENDS_BARE = /[^ \t]$/
const TRAILER_SIGNATURE = 'x-amz-trailer-signature'

export class ChunkDecoder {
  readonly #options: ChunkDecoderOptions
  readonly #trailers = new Map<string, string>()
  #state: State = 'size'
  #line = ''
  #chunkBytesLeft = 0
  #decodedBytes = 0

  constructor(options: ChunkDecoderOptions) {
    this.#options = options
  }

  /** Trailer values by lower-case name; complete after `finish`. */
  get trailers(): ReadonlyMap<string, string> {
    return this.#trailers
  }

  /** Appends the payload slices that `bytes` holds to `out`. Throws `S3Error` for anything out of order. */
  push(bytes: Uint8Array, out: Uint8Array[]): void {
    let at = 0
    while (at < bytes.length) {
      if (this.#state === 'data') at = this.#takeData(bytes, at, out)
      else at = this.#takeLine(bytes, at)
    }
  }

  /** Throws `IncompleteBody` unless the last chunk, the trailer and all the declared bytes were there. */
  finish(): void {
    if (this.#state === 'signature' && this.#line === '') this.#endTrailer()
    const isOver = (this.#state === 'end' || this.#state === 'closed') && this.#line === ''
    if (!isOver || this.#decodedBytes !== this.#options.decodedBytes) throw new S3Error('IncompleteBody')
  }

  #takeData(bytes: Uint8Array, at: number, out: Uint8Array[]): number {
    const end = Math.min(bytes.length, at + this.#chunkBytesLeft)
    const slice = at === 0 && end === bytes.length ? bytes : bytes.subarray(at, end)
    this.#options.verifier?.update(slice)
    out.push(slice)
    this.#chunkBytesLeft -= slice.length
    if (this.#chunkBytesLeft === 0) {
      this.#options.verifier?.end()
      this.#state = 'dataEnd'
    }
    return end
  }

  #takeLine(bytes: Uint8Array, at: number): number {
    if (this.#state === 'closed') throw tooMuch()
    const feed = bytes.indexOf(LINE_FEED, at)
    const end = feed < 0 ? bytes.length : feed
    if (this.#line.length + end - at > CHUNK_LINE_BYTES_MAX) {
      throw new S3Error('InvalidRequest', 'A chunk header or trailer is too long.')
    }
    this.#line += Buffer.from(bytes.buffer, bytes.byteOffset + at, end - at).toString('latin1')
    if (feed < 0) return end
    const line = this.#line
    this.#line = ''
    if (endsInReturn(line)) this.#endLine(line.slice(0, -1))
    else if (this.#state === 'trailer' && ENDS_BARE.test(line)) this.#addTrailer(line)
    else throw malformed()
    return feed + 1
  }

  #endLine(line: string): void {
    if (this.#state === 'size') this.#endSizeLine(line)
    else if (this.#state === 'dataEnd') this.#endChunk(line)
    else if (this.#state === 'end') this.#endAgain(line)
    else this.#endTrailerLine(line)
  }

  #endChunk(line: string): void {
    if (line !== '') throw malformed()
    this.#state = 'size'
  }

  #endTrailerLine(line: string): void {
    if (line !== '') this.#addTrailer(line)
    else if (this.#state === 'trailer' && this.#isSignatureDue()) this.#state = 'signature'
    else this.#endTrailer()
  }

  #endAgain(line: string): void {
    const { verifier, trailer } = this.#options
    if (line !== '' || !trailer || verifier !== undefined) throw tooMuch()
    this.#state = 'closed'
  }

  #isSignatureDue(): boolean {
    const { verifier, trailer } = this.#options
    return verifier !== undefined && trailer && !this.#trailers.has(TRAILER_SIGNATURE)
  }

  #endSizeLine(line: string): void {
    const [, size = '', signature = ''] = SIZE_LINE.exec(line) ?? []
    if (size === '') throw malformed()
    const sizeBytes = Number.parseInt(size, 16)
    if (sizeBytes > PUT_BYTES_MAX || this.#decodedBytes + sizeBytes > this.#options.decodedBytes) {
      throw new S3Error('IncompleteBody')
    }
    const { verifier } = this.#options
    if (verifier === undefined && signature !== '') throw malformed()
    verifier?.begin(signature)
    this.#decodedBytes += sizeBytes
    this.#chunkBytesLeft = sizeBytes
    this.#state = sizeBytes > 0 ? 'data' : 'trailer'
    if (sizeBytes === 0) verifier?.end()
  }

  #addTrailer(line: string): void {
    const [, name, value] = TRAILER_LINE.exec(line) ?? []
    if (name === undefined || value === undefined) throw malformedTrailer()
    const lower = name.toLowerCase()
    const known = this.#options.trailerNames.includes(lower) || lower === TRAILER_SIGNATURE
    const expected = this.#options.trailer && known && !this.#trailers.has(lower)
    if (!expected || this.#trailers.size === TRAILERS_MAX) throw malformedTrailer()
    this.#trailers.set(lower, value)
  }

  #endTrailer(): void {
    const { verifier, trailer, trailerNames } = this.#options
    if (trailerNames.some((name) => !this.#trailers.has(name))) throw malformedTrailer()
    const signature = this.#trailers.get(TRAILER_SIGNATURE)
    if (verifier !== undefined && trailer) verifier.endTrailer(this.#signedLines(), signature ?? '')
    else if (signature !== undefined) throw malformedTrailer()
    this.#state = 'end'
  }

  #signedLines(): string {
    let lines = ''
    for (const [name, value] of this.#trailers) {
      if (name !== TRAILER_SIGNATURE) lines += `${name}:${value}\n`
    }
    return lines
  }
}

function endsInReturn(line: string): boolean {
  return line.charCodeAt(line.length - 1) === CARRIAGE_RETURN
}

function tooMuch(): S3Error {
  return new S3Error('IncompleteBody', 'There is data after the final chunk.')
}

function malformed(): S3Error {
  return new S3Error('IncompleteBody', 'The chunked encoding of the body is malformed.')
}

function malformedTrailer(): S3Error {
  return new S3Error('MalformedTrailerError')
}
