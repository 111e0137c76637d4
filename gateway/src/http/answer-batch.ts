/**
 * Answers that become complete in one turn of the event loop leave together at its end. A write to a sleeping client
 * wakes it: one after another, with the work for the next answer between, every answer would pay for that.
 */
import type { ServerResponse } from 'node:http'
import type { Clock } from '@cairn/protocol'

export class AnswerBatch {
  readonly #clock: Clock
  #responses: ServerResponse[] = []
  #bodies: (Uint8Array | undefined)[] = []

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** Ends the response, whose head is written, with this body, when the turn is over. */
  end(response: ServerResponse, body: Uint8Array | undefined): void {
    this.#bodies.push(body)
    if (this.#responses.push(response) === 1) this.#clock.defer(this.#flush)
  }

  readonly #flush = (): void => {
    const responses = this.#responses
    const bodies = this.#bodies
    this.#responses = []
    this.#bodies = []
    for (const [index, response] of responses.entries()) response.end(bodies[index])
  }
}
