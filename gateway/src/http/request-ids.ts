import type { Random } from '@cairn/protocol'

/** Makes ids of 16 upper-case hex digits: unpredictable for each process, then counted. */
export interface RequestIds {
  next(): string
  /** Names the process in `x-amz-id-2`. */
  readonly hostId: string
}

/** 00 to FF. */
const HEX: readonly string[] = Array.from({ length: 256 }, (_, byte) =>
  byte.toString(16).toUpperCase().padStart(2, '0'),
)

/** Costs no entropy for each request. */
export function createRequestIds(random: Random): RequestIds {
  const prefix = Buffer.from(random.bytes(4)).toString('hex').toUpperCase()
  const hostId = Buffer.from(random.bytes(24)).toString('base64')
  let count = Buffer.from(random.bytes(4)).readUInt32BE()
  return {
    hostId,
    next(): string {
      count = (count + 1) >>> 0
      const high = `${HEX[count >>> 24]}${HEX[(count >>> 16) & 0xff]}`
      return `${prefix}${high}${HEX[(count >>> 8) & 0xff]}${HEX[count & 0xff]}`
    },
  }
}
