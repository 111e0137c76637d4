import { CairnError } from '@cairn/protocol'
import { expect } from 'chai'
import { logFailedWork } from '../src/failed-work.js'

/** What was logged for this failure of the work "repair". */
function logged(error: unknown): unknown[] {
  const lines: unknown[] = []
  const log = {
    info: (fields: object, message: string) => lines.push(['info', fields, message]),
    error: (fields: object, message: string) => lines.push(['error', fields, message]),
  }
  logFailedWork(log)('repair', error)
  return lines
}

describe('the log of background work', () => {
  it('has no error and no stack where the cluster has only moved on', () => {
    for (const code of ['StaleClusterMap', 'SessionExpired', 'ConnectionLost', 'DeadlineExceeded'] as const) {
      expect(logged(new CairnError(code, 'so'))).to.deep.equal([
        ['info', { work: 'repair', code, reason: 'so' }, 'background work will be tried again'],
      ])
    }
  })

  it('has everything else as an error', () => {
    for (const err of [new CairnError('BlockCorrupt', 'bad'), new Error('a mistake')]) {
      expect(logged(err)).to.deep.equal([['error', { work: 'repair', err }, 'background work failed']])
    }
  })
})
