import { createDigest, type Digest, digestOf } from '@cairn/protocol'
import type { DigestAlgorithm, Digests } from './api.js'

/** MD5, which is the ETag, and whatever else was asked for. */
function algorithmsOf(wanted: readonly DigestAlgorithm[] | undefined): Set<DigestAlgorithm> {
  return new Set<DigestAlgorithm>(['MD5', ...(wanted ?? [])])
}

/** Digests of a body that is at hand. */
export function digestWhole(bytes: Uint8Array, wanted: readonly DigestAlgorithm[] | undefined): Digests {
  const digests: Digests = {}
  for (const algorithm of algorithmsOf(wanted)) digests[algorithm] = digestOf(algorithm, bytes)
  return digests
}

/** Digests of a body while it flows. */
export class RunningDigests {
  private readonly running: readonly (readonly [DigestAlgorithm, Digest])[]

  constructor(wanted: readonly DigestAlgorithm[] | undefined) {
    this.running = [...algorithmsOf(wanted)].map((algorithm) => [algorithm, createDigest(algorithm)] as const)
  }

  update(bytes: Uint8Array): void {
    for (const [, digest] of this.running) digest.update(bytes)
  }

  digests(): Digests {
    return Object.fromEntries(this.running.map(([algorithm, digest]) => [algorithm, digest.digest()]))
  }
}

/** The ETag of one body: its MD5 as hex. */
export function etagOf(digests: Digests): string {
  return Buffer.from(digests.MD5 ?? []).toString('hex')
}
