/** The thread of `createDigestLanes`. Handles orders one after the other, as they come. */
import { parentPort } from 'node:worker_threads'
import { createDigest, type Digest } from '@cairn/protocol'
import type { DigestAlgorithm, Digests } from '../api.js'
import type { DigestAnswer, DigestOrder } from './digest-messages.js'

const lanes = new Map<number, [DigestAlgorithm, Digest][]>()

function answer(message: DigestAnswer): void {
  parentPort?.postMessage(message)
}

function end(lane: number, running: readonly [DigestAlgorithm, Digest][]): void {
  const digests: Digests = {}
  for (const [algorithm, digest] of running) digests[algorithm] = Uint8Array.from(digest.digest())
  answer({ lane, digests })
}

parentPort?.on('message', (order: DigestOrder) => {
  const { lane } = order
  if ('algorithms' in order) {
    lanes.set(
      lane,
      order.algorithms.map((algorithm) => [algorithm, createDigest(algorithm)]),
    )
    return
  }
  const running = lanes.get(lane) ?? []
  if ('bytes' in order) {
    for (const [, digest] of running) digest.update(order.bytes)
    answer({ lane })
    return
  }
  lanes.delete(lane)
  end(lane, order.end === 'digests' ? running : [])
})
