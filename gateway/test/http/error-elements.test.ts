import { CairnError } from '@cairn/protocol'
import { expect } from 'chai'
import { S3Error, toS3Error } from '../../src/errors.js'
import { errorElements } from '../../src/http/error-elements.js'
import { parseQuery } from '../../src/http/query.js'

const REQUEST = {
  bucket: 'b',
  context: { method: 'POST', key: 'k', query: parseQuery('uploadId=u'), headers: {} },
}

describe('errorElements', () => {
  it('takes from the error of a service what the request does not say', () => {
    const details = { partNumber: '3', etag: 'e' }
    const error = toS3Error(new CairnError('InvalidPart', 'part 3 has another ETag', { details }))
    expect(errorElements(error, REQUEST)).to.deep.equal({ UploadId: 'u', PartNumber: '3', ETag: 'e' })
  })

  it('lets the error name another key than the request', () => {
    const error = toS3Error(new CairnError('NoSuchKey', 'no such key'), { Key: 'source' })
    expect(errorElements(error, REQUEST)).to.deep.equal({ Key: 'source' })
  })

  it('adds nothing to a request that was refused before anything was known of it', () => {
    const unknown = { bucket: '', context: undefined }
    expect(errorElements(new S3Error('NoSuchKey'), unknown)).to.deep.equal({})
  })
})
