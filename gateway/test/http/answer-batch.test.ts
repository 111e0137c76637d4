import type { ServerResponse } from 'node:http'
import { systemClock } from '@cairn/protocol'
import { expect } from 'chai'
import { AnswerBatch } from '../../src/http/answer-batch.js'

describe('batches of answers', () => {
  it('end all answers of a turn after it, in order, and begin anew', () => {
    const tasks: (() => void)[] = []
    const ended: string[] = []
    const batch = new AnswerBatch({ ...systemClock, defer: (task) => tasks.push(task) })
    const response = (name: string): ServerResponse => {
      const end = (body: Uint8Array | undefined): void => {
        ended.push(`${name} ${body?.length ?? 'empty'}`)
      }
      return { end } as unknown as ServerResponse
    }
    batch.end(response('first'), new Uint8Array(3))
    batch.end(response('second'), undefined)
    expect(ended).to.deep.equal([])
    expect(tasks).to.have.length(1)
    tasks[0]?.()
    expect(ended).to.deep.equal(['first 3', 'second empty'])
    batch.end(response('third'), undefined)
    tasks[1]?.()
    expect(ended).to.deep.equal(['first 3', 'second empty', 'third empty'])
  })
})
