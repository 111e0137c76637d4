/** Clients that retry as those of AWS do, behind a load balancer: what one gateway refuses is sent to the next. */
import { setTimeout as delay } from 'node:timers/promises'
import type { Answer, SignedClient } from './signed-client.js'

/** In all, as in the standard mode of AWS. */
const TRIES_MAX = 3
const BACKOFF_MS = 100

/** One for each of those given, which is tried first; `onRetry` is told why there is a further try. */
export function createRetryingClients(
  clients: readonly SignedClient[],
  onRetry: (reason: string) => void,
): SignedClient[] {
  async function send(first: number, one: (client: SignedClient) => Promise<Answer>): Promise<Answer> {
    for (let tried = 1; ; tried++) {
      const client = clients[(first + tried - 1) % clients.length] as SignedClient
      const answer = await one(client).catch((error: Error) => error)
      const failure = failureOf(answer)
      if (failure === undefined || tried === TRIES_MAX) return settle(answer)
      onRetry(failure)
      await delay(BACKOFF_MS * 2 ** tried * Math.random())
    }
  }
  return clients.map((client, at) => ({
    ...client,
    send: (...request) => send(at, (each) => each.send(...request)),
  }))
}

/** What may be tried again; undefined for an answer that is final. */
function failureOf(answer: Answer | Error): string | undefined {
  if (answer instanceof Error) return (answer as NodeJS.ErrnoException).code ?? answer.message
  if (answer.status < 500) return undefined
  return `${answer.status} ${/<Code>(.*?)<\/Code>/.exec(answer.body.toString())?.[1] ?? ''}`.trim()
}

function settle(answer: Answer | Error): Answer {
  if (answer instanceof Error) throw answer
  return answer
}
