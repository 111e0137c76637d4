/** What a workload is made of: requests that can be prepared ahead, and what their answers must be. */
import type { Answer, PreparedRequest } from './http-connection.js'

export interface WorkItem {
  readonly request: PreparedRequest
  readonly status: number
  /** Unchecked when absent. */
  readonly bodyBytes?: number
  readonly crc32?: number
}

/** Throws if the answer is not the one expected: a benchmark of errors or of wrong bytes is worth nothing. */
export function checkAnswer(item: WorkItem, answer: Answer): void {
  const { head } = item.request
  const line = head.toString('latin1', 0, head.indexOf('\r\n'))
  if (answer.status !== item.status) throw new Error(`${line}: status ${answer.status}, not ${item.status}`)
  if (item.bodyBytes !== undefined && answer.bodyBytes !== item.bodyBytes) {
    throw new Error(`${line}: ${answer.bodyBytes} bytes, not ${item.bodyBytes}`)
  }
  if (item.crc32 !== undefined && answer.crc32 !== item.crc32) {
    throw new Error(`${line}: the body has CRC-32 ${answer.crc32}, not ${item.crc32}`)
  }
}
