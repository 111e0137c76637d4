import { expect } from 'chai'
import { S3Error } from '../../src/errors.js'
import { readRequestHeaders } from '../../src/http/request-headers.js'

describe('the headers of a request', () => {
  it('are joined where they are lists, in their order', () => {
    const headers = readRequestHeaders([
      'Content-Encoding',
      'gzip ',
      'Host',
      'a',
      'content-encoding',
      'aws-chunked',
    ])
    expect(headers['content-encoding']).to.equal('gzip,aws-chunked')
  })

  it('are refused where two of them mean two readings of one request', () => {
    for (const name of ['Content-Length', 'Authorization', 'Content-MD5', 'Range', 'x-amz-copy-source']) {
      expect(() => readRequestHeaders([name, '1', 'Host', 'a', name.toLowerCase(), '1']), name).to.throw(
        S3Error,
      )
    }
  })
})
