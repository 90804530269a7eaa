"""What is inside the files of a dataset: the facts of a written Parquet file, the Arrow schema in
its footer, and the data dictionary in Markdown.

Begin with `parquet.py` for facts and `markdown.py` for the dictionary.
"""
