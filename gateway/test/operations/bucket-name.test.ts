import { expect } from 'chai'
import { S3Error } from '../../src/errors.js'
import { checkBucketName } from '../../src/operations/bucket-name.js'

describe('checkBucketName', () => {
  for (const name of ['abc', 'a-b', 'a.b.c', '0ab', 'x'.repeat(63), '1.2.3.4.5']) {
    it(`takes ${name}`, () => {
      checkBucketName(name)
    })
  }

  for (const name of [
    '',
    'ab',
    'x'.repeat(64),
    'Abc',
    'a_b',
    'a b',
    'ä-umlaut',
    '-abc',
    'abc-',
    '.abc',
    'abc.',
    'a..b',
    'a.-b',
    'a-.b',
    '10.0.0.1',
    'xn--abc',
    'sthree-abc',
    'abc-s3alias',
    'abc--ol-s3',
    'abc.mrap',
    'abc--usw2-az1--x-s3',
    'abc--table-s3',
  ]) {
    it(`refuses ${JSON.stringify(name)}`, () => {
      expect(() => checkBucketName(name))
        .to.throw(S3Error)
        .with.property('code', 'InvalidBucketName')
    })
  }
})
