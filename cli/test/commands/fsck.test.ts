import type { CheckReport } from '@cairn/protocol'
import { expect } from 'chai'
import { fsck } from '../../src/commands/fsck.js'
import { exitStatusOf } from '../../src/exit-status.js'
import { withAdminServer } from './admin-server.js'

const COUNTS = { done: 0, total: 0, blocks: 3, underReplicated: 0, corrupt: 0, orphaned: 0, dangling: 0 }

/** Runs `cairn fsck --accept` against a server whose check ends in this state; what it was asked for. */
async function askedFor(state: CheckReport['state']): Promise<readonly string[]> {
  const report = {
    check: 'c1',
    state,
    phase: 'drives',
    ...COUNTS,
    pending: 0,
    findings: [],
    incarnation: 'i1',
  }
  const asked: string[] = []
  const options = { deep: false, json: false, accept: true, repairWait: false, waitSeconds: 1 }
  const { clean } = await withAdminServer(report, (config) => fsck(config, options), asked)
  expect(clean).to.equal(state === 'done')
  return asked
}

describe('cairn fsck --accept', () => {
  it('lets garbage be collected again after a check that came to its end', async () => {
    expect(await askedFor('done')).to.include('POST restore/accept?incarnation=i1')
  })

  it('accepts nothing when the check did not come to its end', async () => {
    for (const state of ['failed', 'cancelled'] as const) {
      expect((await askedFor(state)).join(), state).to.not.include('accept')
    }
  })
})

describe('cairn fsck --repair-wait', () => {
  it('ends when the metadata store takes no more writes: nothing is repaired any more', async () => {
    const repair = { comparing: true, underReplicated: 1, dirtyGroups: 1 }
    const status = { safeMode: false, repair, storeTrouble: 'a commit has failed' }
    const options = { deep: false, json: false, accept: false, repairWait: true, waitSeconds: 3_600 }
    const error = await withAdminServer(status, (config) => fsck(config, options).catch((cause) => cause))
    expect(error).to.be.instanceOf(Error)
    expect(error.message).to.include('the metadata takes no writes: a commit has failed')
    expect(exitStatusOf(error)).to.equal(2)
  })
})

describe('a check', () => {
  const OPTIONS = { deep: false, json: false, accept: true, repairWait: false, waitSeconds: 1 }
  const REPORT = { check: 'c1', state: 'done', phase: 'drives', ...COUNTS, pending: 0, findings: [] }

  it('that waits for another one says so', async () => {
    let refusals = 3
    const answer = (request: string): object => {
      if (request.startsWith('POST check') && refusals-- > 0) return { httpStatus: 409, check: 'c0' }
      return { ...REPORT, incarnation: 'i1' }
    }
    const written: string[] = []
    const stream = { write: (text: string) => written.push(text) }
    const { clean } = await withAdminServer(answer, (config) => fsck(config, OPTIONS, stream))
    expect(clean).to.equal(true)
    expect(written).to.deep.equal(['another check runs already, c0: waiting for its end\n'])
  })

  it('is ended in the cluster too when its command is told to end', async () => {
    const asked: string[] = []
    let isCancelled = false
    const listeners = process.listenerCount('SIGTERM')
    const answer = (request: string): object => {
      if (request.startsWith('DELETE')) isCancelled = true
      else if (request.startsWith('GET check') && !isCancelled) process.emit('SIGTERM')
      return { ...REPORT, state: isCancelled ? 'cancelled' : 'running' }
    }
    const { clean, text } = await withAdminServer(answer, (config) => fsck(config, OPTIONS), asked)
    expect(clean).to.equal(false)
    expect(text).to.include('the check has cancelled')
    expect(asked).to.include('DELETE check?check=c1')
    expect(asked.join()).to.not.include('accept')
    expect(process.listenerCount('SIGTERM')).to.equal(listeners)
  })

  it('that nobody knows any more has not come to its end', async () => {
    const course = [
      { check: 'c1' },
      { ...REPORT, state: 'running' },
      { httpStatus: 404, message: 'no such check' },
    ]
    const { clean, text } = await withAdminServer(course, (config) => fsck(config, OPTIONS))
    expect(clean).to.equal(false)
    expect(text).to.include('the check has failed').and.to.include('3 blocks')
  })
})
