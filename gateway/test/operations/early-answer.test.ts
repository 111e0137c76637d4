import { CairnError } from '@cairn/protocol'
import { createSeededRandom, createSimulatedClock } from '@cairn/protocol/simulation'
import { expect } from 'chai'
import { S3Error } from '../../src/errors.js'
import { EARLY_ANSWER_MS } from '../../src/limits.js'
import { answerInTime } from '../../src/operations/early-answer.js'
import { xmlResponse } from '../../src/operations/response.js'
import type { OperationContext, S3Response } from '../../src/operations/types.js'
import { document } from '../../src/xml/writer.js'

describe('an answer in time', () => {
  const clock = createSimulatedClock(createSeededRandom(1))
  const logged: object[] = []
  const context = {
    clock,
    bucket: 'bucket',
    key: 'key',
    requestId: 'ID',
    operation: 'CopyObject',
    log: { error: (fields: object) => logged.push(fields) },
  } as unknown as OperationContext

  const later = (delayMs: number, settle: () => Promise<S3Response>) => () =>
    new Promise<S3Response>((resolve) => {
      clock.setTimer(delayMs, () => resolve(settle()))
    })

  async function bodyOf({ body }: S3Response): Promise<string> {
    let text = ''
    for await (const piece of body as AsyncIterable<Uint8Array>) text += Buffer.from(piece).toString()
    return text
  }

  const done = async (): Promise<S3Response> => xmlResponse(document('Result', '<A>1</A>'), { 'x-a': '1' })

  it('is the work’s own, headers and status included, when it is quick', async () => {
    const answer = await clock.runUntil(answerInTime(context, later(EARLY_ANSWER_MS - 1, done)))
    expect(answer).to.deep.equal(await done())
    const refusal = later(1, () => Promise.reject(new S3Error('PreconditionFailed')))
    const thrown = await clock.runUntil(answerInTime(context, refusal).catch((error: unknown) => error))
    expect(thrown).to.have.property('code', 'PreconditionFailed')
  })

  it('begins with blanks when the work takes long, and ends in its document', async () => {
    const answer = await clock.runUntil(answerInTime(context, later(EARLY_ANSWER_MS * 3.5, done)))
    expect(answer.status).to.equal(200)
    const text = await clock.runUntil(bodyOf(answer))
    const whole = String((await done()).body)
    expect(text.replace('?>\n  ', '?>\n')).to.equal(whole)
    expect(text.length).to.equal(whole.length + 2)
  })

  it('carries the error of long work in the body, and logs it', async () => {
    const failing = later(EARLY_ANSWER_MS * 2.5, () =>
      Promise.reject(new CairnError('BlockUnavailable', 'no replica')),
    )
    const answer = await clock.runUntil(answerInTime(context, failing))
    const text = await clock.runUntil(bodyOf(answer))
    expect(text).to.match(/^<\?xml [^>]*>\s+<Error><Code>ServiceUnavailable<\/Code>.*<RequestId>ID</s)
    expect(logged).to.have.length(1)
  })
})
