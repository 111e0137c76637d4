/**
 * Work that may outlast a client's patience (Complete and copies of large objects). When it takes long, 200 is
 * answered before its end and blanks keep the connection alive; what follows is then the result, or the error as a
 * document in the body, which SDKs take for a retryable failure. The same happens on AWS.
 */
import type { Clock } from '@cairn/protocol'
import { type S3Error, toS3Error } from '../errors.js'
import { errorDocument } from '../http/error-response.js'
import { EARLY_ANSWER_MS } from '../limits.js'
import { DECLARATION } from '../xml/writer.js'
import type { OperationContext, S3Response } from './types.js'

/** What became of the work. */
type Outcome = { readonly answer: S3Response } | { readonly error: unknown }

/** The answer of `work` itself if it comes in time. It must be a document that `document` has written. */
export async function answerInTime(
  context: OperationContext,
  work: () => Promise<S3Response>,
): Promise<S3Response> {
  const running: Promise<Outcome> = work().then(
    (answer) => ({ answer }),
    (error: unknown) => ({ error }),
  )
  const outcome = await within(context.clock, running)
  if (outcome === undefined) {
    return { status: 200, headers: { 'Content-Type': 'application/xml' }, body: lateBody(context, running) }
  }
  if ('error' in outcome) throw outcome.error
  return outcome.answer
}

async function* lateBody(context: OperationContext, running: Promise<Outcome>): AsyncIterable<Uint8Array> {
  yield Buffer.from(DECLARATION)
  for (;;) {
    const outcome = await within(context.clock, running)
    if (outcome !== undefined) return yield Buffer.from(restOf(context, outcome))
    yield Buffer.from(' ')
  }
}

/** The outcome, or `undefined` when it is not there after EARLY_ANSWER_MS. */
async function within(clock: Clock, running: Promise<Outcome>): Promise<Outcome | undefined> {
  let cancel = (): void => undefined
  const patience = new Promise<undefined>((resolve) => {
    cancel = clock.setTimer(EARLY_ANSWER_MS, () => resolve(undefined))
  })
  const first = await Promise.race([running, patience])
  cancel()
  return first
}

function restOf(context: OperationContext, outcome: Outcome): string {
  if ('answer' in outcome) return String(outcome.answer.body ?? '').slice(DECLARATION.length)
  const error = toS3Error(outcome.error)
  report(context, error)
  const { requestId, bucket, key } = context
  const facts = { resource: `/${bucket}/${key}`, requestId, hostId: '', request: { bucket, context } }
  return errorDocument(error, facts).slice(DECLARATION.length)
}

/** The dispatcher has seen a 200: what failed after it is logged here. */
function report({ log, requestId, bucket, operation }: OperationContext, error: S3Error): void {
  if (error.status < 500) return
  log.error({ err: error.cause ?? error, requestId, bucket, operation, code: error.code }, 'request failed')
}
