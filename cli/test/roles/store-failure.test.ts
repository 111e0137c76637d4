import { CairnError } from '@cairn/protocol'
import { expect } from 'chai'
import { openLog } from '../../src/log.js'
import { MetadataError } from '../../src/roles/metadata-error.js'
import { StoreFailure } from '../../src/roles/store-failure.js'
import { errorOf } from '../error-of.js'

const CAUSE = new CairnError('DriveFailed', 'a commit of the metadata store failed', {
  cause: new Error('SQLITE_IOERR_FSYNC'),
})

describe('a failed metadata store', () => {
  it('ends a start that waits for what never comes', async () => {
    const failure = new StoreFailure(openLog('silent'))
    const start = errorOf(failure.unlessFailed(new Promise(() => undefined)))
    failure.note(CAUSE)
    expect(await start).to.be.instanceOf(MetadataError)
  })

  it('is named as the cause of whatever failed because of it', async () => {
    const failure = new StoreFailure(openLog('silent'))
    expect(failure.trouble).to.equal(undefined)
    failure.note(CAUSE)
    const late = new CairnError('OutcomeUnknown', 'the entry may or may not be durable')
    expect(((await errorOf(failure.unlessFailed(Promise.reject(late)))) as Error).message)
      .to.equal(failure.trouble)
      .and.to.contain('SQLITE_IOERR_FSYNC')
  })

  it('stands in nobody’s way while the store is well', async () => {
    const failure = new StoreFailure(openLog('silent'))
    const other = new Error('no port')
    expect(await failure.unlessFailed(Promise.resolve(7))).to.equal(7)
    expect(await errorOf(failure.unlessFailed(Promise.reject(other)))).to.equal(other)
  })
})
