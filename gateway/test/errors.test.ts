import { CairnError, ERROR_CODES, type ErrorCode } from '@cairn/protocol'
import { expect } from 'chai'
import { S3_CODE_OF, S3_ERRORS, S3Error, toS3Error } from '../src/errors.js'

const codes = Object.keys(ERROR_CODES) as ErrorCode[]

describe('toS3Error', () => {
  it('has an answer for every code of the services, and for no other', () => {
    expect(Object.keys(S3_CODE_OF).sort()).to.deep.equal([...codes].sort())
    for (const code of codes) {
      const error = toS3Error(new CairnError(code, 'detail'))
      expect(error.status, code).to.equal(S3_ERRORS[error.code][0])
      expect(error.message, code).to.not.equal('')
    }
  })

  it('asks clients to slow down when a service is busy', () => {
    expect(toS3Error(new CairnError('Busy', 'x'))).to.include({ code: 'SlowDown', status: 503 })
  })

  it('says nothing of what went wrong inside', () => {
    for (const thrown of [
      new CairnError('Internal', 'secret'),
      new TypeError('secret'),
      'secret',
      undefined,
    ]) {
      const error = toS3Error(thrown)
      expect(error).to.include({ code: 'InternalError', status: 500 })
      expect(error.message).to.not.include('secret')
    }
  })

  it('lets an answer pass as it is', () => {
    const error = new S3Error('AccessDenied')
    expect(toS3Error(error)).to.equal(error)
  })

  it('tells of delete markers in headers', () => {
    const details = { deleteMarker: 'true', versionId: 'v' }
    const current = toS3Error(new CairnError('NoSuchKey', 'x', { details }))
    expect(current.headers).to.deep.equal({ 'x-amz-delete-marker': 'true', 'x-amz-version-id': 'v' })
    const named = toS3Error(new CairnError('VersionIsDeleteMarker', 'x', { details: { versionId: 'v' } }))
    expect(named.status).to.equal(405)
    expect(named.headers).to.deep.equal({
      Allow: 'DELETE',
      'x-amz-delete-marker': 'true',
      'x-amz-version-id': 'v',
    })
  })
})
