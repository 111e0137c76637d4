/** The chain of signatures over the chunks and the trailer of a signed aws-chunked body. */
import { createHash, type Hash, hash, timingSafeEqual } from 'node:crypto'
import type { ChunkSigning } from '../authentication/authenticate.js'
import { sign } from '../authentication/signing-keys.js'
import { S3Error } from '../errors.js'

const EMPTY_SHA256 = hash('sha256', '', 'hex')
const SIGNATURE = /^[0-9a-f]{64}$/

/** Each signature continues from the one before, so that no chunk can be dropped, repeated or moved. */
export class ChunkVerifier {
  readonly #signing: ChunkSigning
  #previous: string
  #claimed = ''
  #hash: Hash | undefined

  constructor(signing: ChunkSigning) {
    this.#signing = signing
    this.#previous = signing.seedSignature
  }

  begin(claimedSignature: string): void {
    if (!SIGNATURE.test(claimedSignature)) throw mismatch()
    this.#claimed = claimedSignature
    this.#hash = createHash('sha256')
  }

  update(bytes: Uint8Array): void {
    this.#hash?.update(bytes)
  }

  /** Throws `SignatureDoesNotMatch` unless the chunk since `begin` is what was signed. */
  end(): void {
    const digest = this.#hash?.digest('hex') ?? EMPTY_SHA256
    this.#check(`AWS4-HMAC-SHA256-PAYLOAD`, `${EMPTY_SHA256}\n${digest}`, this.#claimed)
  }

  /** Verifies the trailer lines, each `name:value` and a line feed, against `x-amz-trailer-signature`. */
  endTrailer(lines: string, claimedSignature: string): void {
    if (!SIGNATURE.test(claimedSignature)) throw mismatch()
    const digest = hash('sha256', Buffer.from(lines, 'latin1'), 'hex')
    this.#check('AWS4-HMAC-SHA256-TRAILER', digest, claimedSignature)
  }

  #check(algorithm: string, rest: string, claimed: string): void {
    const { key, date, scope } = this.#signing
    const signature = sign(key, `${algorithm}\n${date}\n${scope}\n${this.#previous}\n${rest}`)
    if (!timingSafeEqual(signature, Buffer.from(claimed, 'hex'))) throw mismatch()
    this.#previous = claimed
  }
}

function mismatch(): S3Error {
  return new S3Error('SignatureDoesNotMatch', 'The signature of a chunk or trailer does not match.')
}
